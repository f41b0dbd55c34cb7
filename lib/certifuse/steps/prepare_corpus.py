"""Read the documents of a study from their source into tokens on disk."""

import logging
from pathlib import Path

from certifuse.base.digests import digest_file
from certifuse.base.manifest import SHARED_NAME, StepRecord
from certifuse.base.records import permitting
from certifuse.data.text.corpus import MANIFEST, load_corpus
from certifuse.data.text.corpus_sources import read_documents
from certifuse.data.text.corpus_writing import write_corpus
from certifuse.data.text.tokenisers import load_tokeniser
from certifuse.study.steps import PrepareCorpusStep

LOGGER = logging.getLogger(__name__)


def prepare_corpus(settings: PrepareCorpusStep, directory: Path, *, download: bool = False) -> None:
    """Write the prepared corpus that `settings` describes to `directory`, and say what it holds.

    The manifest of the run has a name of its own, since `manifest.json` is that of the corpus and equal for equal ones.
    `download` permits that what is absent is fetched.
    """
    corpus = settings.corpus
    source = permitting(corpus, download)
    tokeniser = load_tokeniser(source)
    record = StepRecord("prepare_corpus", settings, [path for path in map(Path, corpus.files) if path.is_file()])
    write_corpus(read_documents(source), tokeniser, corpus.min_tokens, corpus.plain(), directory)
    for part, facts in load_corpus(directory).manifest["parts"].items():
        LOGGER.info(
            "%s: %s documents, %s tokens; dropped %s too short, %s duplicates, %s duplicates of the other part",
            part,
            *(f"{facts[name]:,}" for name in ("documents", "tokens", "too_short")),
            *(f"{facts[name]:,}" for name in ("duplicates", "duplicates_of_other_part")),
        )
    written = [directory / MANIFEST, *sorted(directory.glob("*.bin"))]
    data = {"corpus": [digest_file(directory / MANIFEST)]}
    record.write(directory / SHARED_NAME.format(job="prepare_corpus"), written, data=data)
