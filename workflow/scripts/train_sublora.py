"""Train one language model in a subspace, at full precision and then quantised to every number of levels."""

from certifuse.steps.command import run_step
from certifuse.study.steps.language import TrainSublora


def run(step: TrainSublora, files: TrainSublora.Files) -> None:
    from certifuse.steps.train_sublora import train_sublora

    train_sublora(step, files)


if __name__ == "__main__":
    run_step(TrainSublora, run)
