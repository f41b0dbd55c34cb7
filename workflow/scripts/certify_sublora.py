"""Code a language model that was trained in a subspace, decode it, and bound its loss on new documents."""

from certifuse.steps.command import run_step
from certifuse.study.steps.language import CertifySublora


def run(step: CertifySublora, files: CertifySublora.Files) -> None:
    from certifuse.steps.certify_sublora import certify_sublora

    certify_sublora(step, files)


if __name__ == "__main__":
    run_step(CertifySublora, run)
