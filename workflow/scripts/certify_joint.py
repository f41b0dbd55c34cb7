"""Certify a jointly trained model: on images that it never touched, and by coding all of its weights."""

from certifuse.steps.command import run_step
from certifuse.study.steps.certificates import CertifyJoint


def run(step: CertifyJoint, files: CertifyJoint.Files) -> None:
    from certifuse.steps.certify_joint import certify_joint

    certify_joint(step, files)


if __name__ == "__main__":
    run_step(CertifyJoint, run)
