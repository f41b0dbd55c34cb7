"""Gather the learned splits of all language models into a table, with what is missing."""

from certifuse.steps.command import run_step
from certifuse.study.steps.gathering import GatherGates, GatheringFiles


def run(step: GatherGates, files: GatheringFiles) -> None:
    from certifuse.steps.gather_gates import gather_gates

    gather_gates(step, files)


if __name__ == "__main__":
    run_step(GatherGates, run)
