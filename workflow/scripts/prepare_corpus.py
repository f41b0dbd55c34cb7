"""Read the documents of a source and write them as tokens, with offsets and a manifest."""

from certifuse.steps.command import run_step
from certifuse.study.steps.data import PrepareCorpus


def run(step: PrepareCorpus, files: PrepareCorpus.Files) -> None:
    from certifuse.steps.prepare_corpus import prepare_corpus

    prepare_corpus(step, files)


if __name__ == "__main__":
    run_step(PrepareCorpus, run)
