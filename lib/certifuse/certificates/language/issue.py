"""Issuing the certificate of a language model: frozen bits, two draws, one scoring, bounds, files.

Order of events: the bitstream is written and hashed, then documents are drawn by a seed of the settings, and what is
scored is the model that the bitstream on disk decodes to. Scores are in single precision wherever they are computed.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from certifuse.base.digests import digest_bytes
from certifuse.base.environment import environment_record
from certifuse.base.files import write_json
from certifuse.base.manifest import StepRecord, label
from certifuse.certificates.language.certificate import (
    BoundRow,
    CorpusSizes,
    Description,
    LanguageCertificate,
    LanguageKind,
    SubloraDescription,
    TopKRow,
    write_certificate_file,
)
from certifuse.certificates.language.claims import best_rows, claims_of, document_rows, token_rows, top_k_rows
from certifuse.certificates.language.model import DecodedModel
from certifuse.certificates.sealed_files import stored, write_bitstream
from certifuse.data.text.corpus import MANIFEST, Corpus
from certifuse.evaluation.bounds.documents import smoothing_charge
from certifuse.evaluation.bounds.ledger import Ledger
from certifuse.evaluation.bounds.rounding import upper
from certifuse.evaluation.language.document_scores import losses_bpd, top_k_errors, unsmoothed_bpd
from certifuse.evaluation.language.subsample import Subsample, draw_documents, draw_documents_by_length, drawn_documents
from certifuse.study import paths
from certifuse.study.paths import BITSTREAM_FILE, CERTIFICATE_FILE
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.settings.sublora import SubloraBounds

log = logging.getLogger(__name__)

STATEMENT = (
    "With probability 1 - delta over the training documents and the draw among them, the model that the bitstream "
    "decodes to, its predictions mixed with the share `claim.alpha` of the uniform distribution, has an expected loss "
    "of at most `claim.bound_bpd` bits per token on a new document, although it was trained on those documents."
)
SAMPLE = (
    "the training documents, taken for independent draws from one source; exact repeats were dropped. Documents were "
    "drawn among them with replacement, by a seed of the settings, when the bitstream had been written. The inequality "
    "of `claim` was named before; its smoothing was chosen among those listed, which the ledger pays for in the step "
    "to new documents and a share of delta in the step from the draw. Each other inequality, each top-k bound and "
    "`token_claim` holds at confidence 1 - delta by itself."
)
UNITS = {
    "kl_divergence": "nats: compressed_size_bits ln 2",
    "empirical_bpd": "bits per token: mean smoothed loss of the drawn training documents",
    "bound_value": "bits per token: upper bound on the expected loss of a new document",
    "compressed_size_bits": "bits: everything that a decoder needs",
    "ledger_bits": "bits",
    "bounds_bpd": "bits per token: every inequality under its own best smoothing",
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

    def draws(self) -> dict[str, Subsample]:
        """The documents of the claim, drawn uniformly, and those of the claim at the level of tokens, by length."""
        train, terms = self.corpus.train, self.terms
        return {
            "documents": draw_documents(len(train), terms.subsample, terms.subsample_seed),
            "tokens": draw_documents_by_length(
                train.lengths, terms.token_subsample or terms.subsample, terms.subsample_seed
            ),
        }

    def drawn_sha256(self) -> dict[str, str]:
        """SHA-256 of the indices of both draws, in order, as little-endian int64."""
        return {name: digest_bytes(draw.drawn.astype("<i8").tobytes()) for name, draw in self.draws().items()}

    def ledger(self, decoded: DecodedModel) -> Ledger:
        """All bits: those of the message, and the choice of the smoothing."""
        return decoded.ledger.plus(smoothing_charge(self.terms.alphas))

    def measure(self, decoded: DecodedModel) -> "Measured":
        """Score every document that is drawn in either draw once, and derive the bounds."""
        draws, terms, sizes, train = self.draws(), self.terms, self.sizes, self.corpus.train
        ledger, vocabulary = self.ledger(decoded), sizes.vocabulary
        scored = np.unique(np.concatenate([draw.drawn for draw in draws.values()]))
        began_s = time.perf_counter()
        scores = decoded.score([train.document(int(index)) for index in scored])
        wall_s = time.perf_counter() - began_s
        places = {name: np.searchsorted(scored, draw.drawn) for name, draw in draws.items()}
        losses_DA = losses_bpd(scores, terms.alphas, vocabulary)
        losses_nA, errors_DK = losses_DA[places["documents"]], top_k_errors(scores, terms.top_k)
        bounds = document_rows(losses_nA, terms, vocabulary, sizes.documents, ledger)
        token_bounds = token_rows(losses_DA[places["tokens"]], terms, vocabulary, sizes.tokens, ledger)
        chosen = terms.alphas.index(claims_of(bounds, token_bounds)[0].alpha)
        validation = drawn_documents(self.corpus.validation, self.validation_documents)
        return Measured(
            bounds=bounds,
            token_bounds=token_bounds,
            top_k=top_k_rows(errors_DK[places["documents"]], terms, sizes.documents, ledger),
            description=Description(
                unsmoothed_bpd=float(unsmoothed_bpd(scores)[places["documents"]].mean()),
                deviation_bpd=float(losses_nA[:, chosen].std(ddof=1)),
                validation_bpd=float(unsmoothed_bpd(decoded.score(validation)).mean()),
                validation_documents=len(validation),
            ),
            scoring_wall_s=wall_s,
        )


@dataclass(frozen=True)
class Measured:
    """Bounds that follow from the scores of a decoded model. `scoring_wall_s` is that of the drawn documents."""

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
    measured, ledger = sample.measure(decoded), sample.ledger(decoded)
    claim, token_claim = claims_of(measured.bounds, measured.token_bounds)
    certificate = LanguageCertificate(
        kind=kind,
        identity=identity,
        statement=STATEMENT,
        sample=SAMPLE,
        terms=sample.terms,
        bitstream_sha256=digest_bytes(written),
        code_bits=ledger.code_bits,
        ledger=ledger.rows(),
        sizes=sample.sizes,
        drawn_sha256=sample.drawn_sha256(),
        claim=claim,
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
