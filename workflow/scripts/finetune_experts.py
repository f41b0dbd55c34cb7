"""Fine-tune the experts of a family without fusion: the control of every cell."""

from certifuse.steps.command import run_step
from certifuse.study.steps.training import FinetuneExperts, JointTrainingFiles


def run(step: FinetuneExperts, files: JointTrainingFiles) -> None:
    from certifuse.steps.finetune_experts import finetune_experts

    finetune_experts(step, files)


if __name__ == "__main__":
    run_step(FinetuneExperts, run)
