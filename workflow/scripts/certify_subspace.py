"""Train a fused network in a random subspace, and certify it at every number of levels."""

from certifuse.steps.command import run_step
from certifuse.study.steps.certificates import CertifySubspace


def run(step: CertifySubspace, files: CertifySubspace.Files) -> None:
    from certifuse.steps.certify_subspace import certify_subspace

    certify_subspace(step, files)


if __name__ == "__main__":
    run_step(CertifySubspace, run)
