"""Train one cell: experts, fusion module and global head together."""

from certifuse.steps.command import run_step
from certifuse.study.steps.training import JointTrainingFiles, TrainFusion


def run(step: TrainFusion, files: JointTrainingFiles) -> None:
    from certifuse.steps.train_fusion import train_fusion

    train_fusion(step, files)


if __name__ == "__main__":
    run_step(TrainFusion, run)
