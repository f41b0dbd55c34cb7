"""Gather the certificates of all language models into tables, with ledgers, logs and what is missing."""

from certifuse.steps.command import run_step
from certifuse.study.steps.gathering import GatheringFiles, GatherSublora


def run(step: GatherSublora, files: GatheringFiles) -> None:
    from certifuse.steps.gather_sublora import gather_sublora

    gather_sublora(step, files)


if __name__ == "__main__":
    run_step(GatherSublora, run)
