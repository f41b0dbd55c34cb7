"""Certify a coded table of counts, in the same way as a network: what a network has to beat.

The counts are those of all training documents. The table is coded, written, read back and decoded, and what it decodes
to is scored on the documents that networks are scored on.

Reads the prepared corpus; writes certificate, bitstream, metrics and manifest. A minute for a gigabyte of documents.
"""

from certifuse.base.manifest import StepRecord
from certifuse.certificates.language.issue import Sample, write_language_certificate
from certifuse.certificates.language.model import decode_ngram, encode_ngram
from certifuse.data.text.corpus import MANIFEST, load_corpus
from certifuse.study.steps.language import CertifyNgram


def certify_ngram(step: CertifyNgram, files: CertifyNgram.Files) -> None:
    """Write the certificate of one table: uniform, unigram or bigram."""
    record = StepRecord(step, files.source, [files.corpus / MANIFEST])
    corpus = load_corpus(files.corpus)
    write_language_certificate(
        Sample(corpus, step.bounds, step.validation_documents),
        encode_ngram(step.ngram, corpus.train, corpus.vocabulary),
        lambda bitstream: decode_ngram(step.ngram, bitstream, corpus.vocabulary),
        record,
        files.corpus,
        files.output,
        kind="ngram",
        identity={"model": "ngram", "mode": step.ngram},
    )
