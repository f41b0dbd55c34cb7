"""Read the documents of a study from their source into tokens on disk.

Reads JSON lines, this Python's documentation, or OpenWebText; writes tokens, offsets and a manifest for each part below
`data/corpus`. Minutes for a gigabyte of text; documents pass one by one, so memory stays small.
"""

import logging
from pathlib import Path

from certifuse.base.digests import digest_file
from certifuse.base.manifest import SHARED_NAME, StepRecord
from certifuse.base.records import permitting
from certifuse.data.text.corpus import MANIFEST, load_corpus
from certifuse.data.text.corpus_writing import write_corpus
from certifuse.data.text.sources.registry import read_documents, source_settings
from certifuse.data.text.tokenisers import load_tokeniser
from certifuse.study.steps.data import PrepareCorpus

LOGGER = logging.getLogger(__name__)


def prepare_corpus(step: PrepareCorpus, files: PrepareCorpus.Files) -> None:
    """Write the prepared corpus, and say what it holds.

    The manifest of the run has a name of its own, since `manifest.json` is that of the corpus and equal for equal ones.
    """
    directory = files.directory
    source = permitting(source_settings(step.corpus), bool(files.download))
    tokeniser = load_tokeniser(source)
    record = StepRecord(step, files.source, [path for path in map(Path, source.files) if path.is_file()])
    write_corpus(read_documents(source), tokeniser, source.min_tokens, step.corpus, directory)
    for part, facts in load_corpus(directory).manifest["parts"].items():
        LOGGER.info(
            "%s: %s documents, %s tokens; dropped %s too short, %s duplicates, %s duplicates of the other part",
            part,
            *(f"{facts[name]:,}" for name in ("documents", "tokens", "too_short")),
            *(f"{facts[name]:,}" for name in ("duplicates", "duplicates_of_other_part")),
        )
    written = [directory / MANIFEST, *sorted(directory.glob("*.bin"))]
    data = {"corpus": [digest_file(directory / MANIFEST)]}
    record.write(directory / SHARED_NAME.format(job=step.rule), written, data=data)
