"""Gather the scores of all cells into one table, with training logs, costs and the list of missing cells."""

from certifuse.steps.command import run_step
from certifuse.study.steps.gathering import Gather, GatheringFiles


def run(step: Gather, files: GatheringFiles) -> None:
    from certifuse.steps.gather import gather

    gather(step, files)


if __name__ == "__main__":
    run_step(Gather, run)
