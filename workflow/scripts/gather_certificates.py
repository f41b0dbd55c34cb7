"""Gather all certificates into one table, with their ledgers and the list of missing ones."""

from certifuse.steps.command import run_step
from certifuse.study.steps.gathering import GatherCertificates, GatheringFiles


def run(step: GatherCertificates, files: GatheringFiles) -> None:
    from certifuse.steps.gather_certificates import gather_certificates

    gather_certificates(step, files)


if __name__ == "__main__":
    run_step(GatherCertificates, run)
