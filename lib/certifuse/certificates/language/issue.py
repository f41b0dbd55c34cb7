"""Issuing the certificate of a language model: frozen bits, two draws, one scoring, bounds, files.

Order of events: the bitstream is written and hashed, then documents are drawn by a seed that follows from the digests,
or all are scored, and what is scored is the model that the bitstream on disk decodes to. Scores are in single precision
wherever they are computed.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certifuse.base.digests import digest_bytes
from certifuse.base.environment import environment_record
from certifuse.base.files import write_json
from certifuse.base.manifest import StepRecord, label
from certifuse.certificates.language.certificate import (
    BestOfRow,
    BoundRow,
    CorpusSizes,
    Description,
    LanguageCertificate,
    LanguageKind,
    SubloraDescription,
    TopKRow,
    write_certificate_file,
)
from certifuse.certificates.language.claims import (
    best_of_rows,
    best_rows,
    claims_of,
    document_rows,
    token_rows,
    top_k_rows,
    whole_token_rows,
)
from certifuse.certificates.language.model import DecodedModel
from certifuse.certificates.language.words import sample_words, statement
from certifuse.certificates.sealed_files import stored, write_bitstream
from certifuse.data.text.corpus import MANIFEST, Corpus
from certifuse.evaluation.bounds.documents import Floats, smoothing_charge
from certifuse.evaluation.bounds.ledger import Ledger
from certifuse.evaluation.bounds.rounding import upper
from certifuse.evaluation.language.document_scores import losses_bpd, top_k_errors, unsmoothed_bpd
from certifuse.evaluation.language.subsample import (
    Subsample,
    draw_documents,
    draw_documents_by_length,
    drawn_documents,
    frozen_digest,
)
from certifuse.study import paths
from certifuse.study.paths import BITSTREAM_FILE, CERTIFICATE_FILE
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.settings.sublora import SubloraBounds

log = logging.getLogger(__name__)

PART_TOKENS = 1 << 22
"""Tokens whose scores are in memory at once, give or take a document."""
UNITS = {
    "kl_divergence": "nats: compressed_size_bits ln 2",
    "empirical_bpd": "bits per token: mean smoothed loss of the scored training documents",
    "bound_value": "bits per token: upper bound on the expected loss of a new document",
    "compressed_size_bits": "bits: everything that a decoder needs",
    "ledger_bits": "bits",
    "bounds_bpd": "bits per token: every inequality under its own best smoothing, which `published` does not pay for",
    "vacuous_bpd": "bits per token: a uniform guess",
    "validation_bpd": "bits per token, without smoothing",
    "scoring_wall_s": "seconds",
}


@dataclass(frozen=True, eq=False)
class Sample:
    """The documents that a certificate is about, and the terms under which they are drawn and scored."""

    corpus: Corpus
    terms: SubloraBounds
    validation_documents: int

    @property
    def sizes(self) -> CorpusSizes:
        """m, tokens, V, and dropped repeats."""
        train, facts = self.corpus.train, self.corpus.manifest["parts"]["train"]
        return CorpusSizes(
            documents=len(train),
            tokens=int(train.offsets[-1]),
            vocabulary=self.corpus.vocabulary.size,
            duplicates_dropped=facts["duplicates"] + facts["duplicates_of_other_part"],
        )

    def draws(self, bitstream_sha256: str) -> dict[str, Subsample]:
        """The documents of the claim, drawn uniformly, and those of the claim at the level of tokens, by length.

        None where all are scored. The seed follows from what is frozen: bitstream, documents and terms.
        """
        train, terms = self.corpus.train, self.terms
        if terms.subsample == "all":
            return {}
        frozen = frozen_digest(bitstream_sha256, train.digest, terms.sha256)
        return {
            "documents": draw_documents(len(train), terms.subsample, frozen),
            "tokens": draw_documents_by_length(train.lengths, terms.token_subsample or terms.subsample, frozen),
        }

    def drawn_sha256(self, bitstream_sha256: str) -> dict[str, str]:
        """SHA-256 of the indices of both draws, in order, as little-endian int64."""
        draws = self.draws(bitstream_sha256)
        return {name: digest_bytes(draw.drawn.astype("<i8").tobytes()) for name, draw in draws.items()}

    def ledger(self, decoded: DecodedModel) -> Ledger:
        """All bits: those of the message, and the choice of the smoothing."""
        return decoded.ledger.plus(smoothing_charge(self.terms.alphas))

    def measure(self, decoded: DecodedModel, bitstream_sha256: str) -> "Measured":
        """Score every document that is drawn in either draw once, or all, and derive the bounds."""
        draws, terms, sizes, train = self.draws(bitstream_sha256), self.terms, self.sizes, self.corpus.train
        ledger, vocabulary = self.ledger(decoded), sizes.vocabulary
        everything = [np.arange(len(train))]
        scored = np.unique(np.concatenate([draw.drawn for draw in draws.values()] or everything))
        began_s = time.perf_counter()
        documents = self.score(decoded, scored)
        wall_s = time.perf_counter() - began_s
        places = {name: np.searchsorted(scored, draw.drawn) for name, draw in draws.items()}
        own = documents.at(places["documents"]) if draws else documents
        bounds = document_rows(own.losses_NA, terms, vocabulary, sizes.documents, ledger)
        if draws:
            of_tokens = documents.losses_NA[places["tokens"]]
            token_bounds = token_rows(of_tokens, terms, vocabulary, sizes.tokens, ledger)
        else:
            risks_A = train.lengths @ own.losses_NA / sizes.tokens
            token_bounds = whole_token_rows(risks_A, terms, vocabulary, sizes.tokens, ledger)
        claim, _ = claims_of(bounds, token_bounds, terms)
        losses_N = own.losses_NA[:, terms.alphas.index(claim.alpha)]
        validation = drawn_documents(self.corpus.validation, self.validation_documents)
        return Measured(
            best_of=best_of_rows(losses_N, claim.alpha, terms, vocabulary, sizes.documents, ledger),
            bounds=bounds,
            token_bounds=token_bounds,
            top_k=top_k_rows(own.errors_NK, terms, sizes.documents, ledger),
            description=Description(
                unsmoothed_bpd=float(own.unsmoothed_N.mean()),
                deviation_bpd=float(losses_N.std(ddof=1)),
                validation_bpd=float(unsmoothed_bpd(decoded.score(validation)).mean()),
                validation_documents=len(validation),
            ),
            scoring_wall_s=wall_s,
        )

    def score(self, decoded: DecodedModel, chosen: NDArray[np.int64]) -> "DocumentLosses":
        """The losses of the training documents `chosen` (N,), ascending; `PART_TOKENS` tokens or so at a time."""
        train, terms = self.corpus.train, self.terms
        parts = np.cumsum(train.lengths[chosen]) // PART_TOKENS
        found = []
        for part in np.split(chosen, np.flatnonzero(np.diff(parts)) + 1):
            scores = decoded.score([train.document(int(index)) for index in part])
            losses_NA = losses_bpd(scores, terms.alphas, self.corpus.vocabulary.size)
            found.append((losses_NA, top_k_errors(scores, terms.top_k), unsmoothed_bpd(scores)))
        return DocumentLosses(*(np.concatenate(column) for column in zip(*found, strict=True)))


@dataclass(frozen=True, eq=False)
class DocumentLosses:
    """Of N documents: losses under A smoothings, top-k errors of K cut-offs, and losses without smoothing."""

    losses_NA: Floats
    errors_NK: Floats
    unsmoothed_N: Floats

    def at(self, places_n: NDArray[np.int64]) -> "DocumentLosses":
        """Those of the documents at n places, which may repeat."""
        return DocumentLosses(self.losses_NA[places_n], self.errors_NK[places_n], self.unsmoothed_N[places_n])


@dataclass(frozen=True)
class Measured:
    """Bounds that follow from the scores of a decoded model. `scoring_wall_s` is that of the scored documents."""

    best_of: tuple[BestOfRow, ...]
    bounds: tuple[BoundRow, ...]
    token_bounds: tuple[BoundRow, ...]
    top_k: tuple[TopKRow, ...]
    description: Description
    scoring_wall_s: float


def write_language_certificate(
    sample: Sample,
    bitstream: bytes,
    decode: Callable[[bytes], DecodedModel],
    record: StepRecord,
    corpus: Path,
    directory: Path,
    *,
    kind: LanguageKind,
    identity: dict[str, str | int],
    runtime: Mapping[str, Any] | None = None,
    trained_sha256: str | None = None,
    model: SubloraDescription | None = None,
) -> None:
    """Freeze the bitstream, draw, decode what is on disk, measure, and write certificate, metrics and manifest.

    Args:
        sample: the documents and the terms.
        bitstream: the coded model.
        decode: what makes a model of the bytes on disk.
        record: the run of the step.
        corpus: the directory of the documents.
        directory: where everything is written.
        kind: a network or a table of counts.
        identity: the names of the certificate.
        runtime: how the network runs; None of a table of counts, like the two below.
        trained_sha256: SHA-256 of the numbers that were coded.
        model: how the network is rebuilt.
    """
    written = write_bitstream(directory, bitstream)
    decoded = decode(written)
    bitstream_sha256 = digest_bytes(written)
    measured, ledger = sample.measure(decoded, bitstream_sha256), sample.ledger(decoded)
    claim, token_claim = claims_of(measured.bounds, measured.token_bounds, sample.terms)
    certificate = LanguageCertificate(
        kind=kind,
        identity=identity,
        statement=statement(sample.terms),
        sample=sample_words(sample.terms),
        terms=sample.terms,
        bitstream_sha256=bitstream_sha256,
        code_bits=ledger.code_bits,
        ledger=ledger.rows(),
        sizes=sample.sizes,
        drawn_sha256=sample.drawn_sha256(bitstream_sha256),
        claim=claim,
        best_of=measured.best_of,
        bounds=measured.bounds,
        top_k=measured.top_k,
        token_claim=token_claim,
        token_bounds=measured.token_bounds,
        description=measured.description,
        model=model,
        corpus=stored(corpus / MANIFEST, directory),
        trained_sha256=trained_sha256,
        settings=record.step.plain(),
        source_fingerprint=record.source,
        environment=environment_record(),
    )
    write_certificate_file(directory, certificate)
    bound_bpd, bits = upper(claim.bound_bpd, 3), ledger.code_bits
    log.info("[%s] at most %s bits per token, with %.0f bits", label(identity), bound_bpd, bits)
    write_json(directory / paths.SUBLORA_METRICS_FILE, metrics_of(certificate, measured.scoring_wall_s))
    outputs = [directory / name for name in (BITSTREAM_FILE, CERTIFICATE_FILE, paths.SUBLORA_METRICS_FILE)]
    record.write(directory / paths.MANIFEST_FILE, outputs, runtime=runtime)


def metrics_of(certificate: LanguageCertificate, scoring_wall_s: float) -> dict[str, Any]:
    """The numbers of a certificate under the names of the published guide, with their units."""
    claim = certificate.claim
    return {
        "kl_divergence": certificate.code_bits * math.log(2.0),
        "empirical_bpd": claim.risk_bpd,
        "bound_value": claim.bound_bpd,
        "compressed_size_bits": certificate.code_bits,
        "ledger_bits": certificate.ledger,
        "inequality": claim.inequality,
        "alpha": claim.alpha,
        "delta": certificate.terms.delta,
        "bounds_bpd": {name: row.bound_bpd for name, row in best_rows(certificate.bounds).items()},
        "vacuous_bpd": math.log2(certificate.sizes.vocabulary),
        "validation_bpd": certificate.description.validation_bpd,
        "scoring_wall_s": scoring_wall_s,
        "units": UNITS,
    }


def scoring_execution(execution: ExecutionSettings) -> ExecutionSettings:
    """Single precision, uncompiled, on the device of the study: what a CPU can check."""
    return execution.model_copy(update={"precision": "fp32", "compile": "off"})
