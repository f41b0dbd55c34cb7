"""Code a table of token counts, decode it, and bound its loss on new documents."""

from certifuse.steps.command import run_step
from certifuse.study.steps.language import CertifyNgram


def run(step: CertifyNgram, files: CertifyNgram.Files) -> None:
    from certifuse.steps.certify_ngram import certify_ngram

    certify_ngram(step, files)


if __name__ == "__main__":
    run_step(CertifyNgram, run)
