"""Train one expert on its share of the pool, or the single model on all training images."""

from certifuse.steps.command import run_step
from certifuse.study.steps.training import PretrainExpert


def run(step: PretrainExpert, files: PretrainExpert.Files) -> None:
    from certifuse.steps.pretrain_expert import pretrain_expert

    pretrain_expert(step, files)


if __name__ == "__main__":
    run_step(PretrainExpert, run)
