"""Certify a coded table of counts, in the same way as a network: what a network has to beat.

The counts are those of all training documents. The table is coded, written, read back and decoded, and what it decodes
to is scored on the documents that networks are scored on.
"""

from dataclasses import dataclass
from pathlib import Path

from certifuse.base.manifest import StepRecord
from certifuse.certificates.language.issue import CertificateRun, Sample
from certifuse.certificates.language.model import decode_ngram, encode_ngram
from certifuse.data.text.corpus import MANIFEST, load_corpus
from certifuse.study.steps import CertifyNgramStep


@dataclass(frozen=True, kw_only=True)
class CertifyNgramFiles:
    """Where the step reads and writes."""

    corpus: Path
    directory: Path
    source: str


def certify_ngram(settings: CertifyNgramStep, name: str, files: CertifyNgramFiles) -> None:
    """Write the certificate of the table called `name`: uniform, unigram or bigram."""
    record = StepRecord("certify_ngram", settings, [files.corpus / MANIFEST])
    corpus = load_corpus(files.corpus)
    run = CertificateRun(
        kind="ngram",
        identity={"model": "ngram", "mode": name},
        names={"ngram": name},
        directory=files.directory,
        corpus=files.corpus,
        settings=settings,
        source=files.source,
        record=record,
    )
    run.write(
        Sample(corpus, settings.bounds, settings.validation_documents),
        encode_ngram(name, corpus.train, corpus.vocabulary),
        lambda bitstream: decode_ngram(name, bitstream, corpus.vocabulary),
        None,
    )
