"""Verify the certificate of a language model: rebuild it on a CPU, score it again, derive every number again.

What is cheap comes first: the digests of all files, then all that follows from the certificate and the corpus, then
theta0 and the bitstream, and the scores last.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError
from certifuse.base.records import Settings
from certifuse.certificates.expectations import ABSENT, differs, expect
from certifuse.certificates.language.certificate import LanguageCertificate, read_language_certificate
from certifuse.certificates.language.claims import claims_of
from certifuse.certificates.language.issue import SAMPLE, STATEMENT, Measured, Sample
from certifuse.certificates.language.model import (
    DecodedModel,
    decode_ngram,
    decode_sublora,
    decoder_settings,
    described_start,
)
from certifuse.certificates.sealed_files import as_it_was, read_bitstream
from certifuse.data.text.corpus import Corpus, load_corpus
from certifuse.models.compute import runtime as runtimes
from certifuse.study.cells import SubloraCell
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.settings.sublora import is_mode

MEAN_TOLERANCE = 1e-5
"""Of mean losses, in bits per token: single precision rounds differently between machines, by about 1e-7."""
BOUND_TOLERANCE = 1e-4
"""Of bounds and their terms, in bits per token, and of shares: a bound is found by bisection to 1e-6 of an interval
of up to 30 bits, and rounding may turn the rank of a token in a million."""
MEANS = ("risk_bpd", "unsmoothed_bpd", "deviation_bpd", "validation_bpd")
CELL_FIELDS = {"d": int, "mode": str, "seed": int, "levels": int}


def verify_language(directory: Path, threads: int = 1) -> LanguageCertificate:
    """The certificate in a directory, if every number of it is derived again from its files.

    Scores are compared to `MEAN_TOLERANCE` and what follows from them to `BOUND_TOLERANCE`; all else is exact. Not
    derived, because nothing claimed depends on them: `settings`, `environment`, `source_fingerprint`,
    `trained_sha256`, how many tokens were scored at once, and which control of mode `learned` a training was.

    Raises:
        UserError: names the first thing that differs.
    """
    certificate = read_language_certificate(directory)
    bitstream = read_bitstream(directory, certificate.bitstream_sha256)
    corpus = load_corpus(as_it_was(certificate.corpus, directory).parent)
    sample = Sample(corpus, certificate.terms, certificate.description.validation_documents)
    check_words_and_claims(certificate)
    expect("sizes", certificate.sizes.plain(), sample.sizes.plain())
    expect("drawn_sha256", certificate.drawn_sha256, sample.drawn_sha256())
    decoded = decoded_model(certificate, bitstream, corpus, threads)
    check_code(certificate, decoded, sample)
    check_scores(certificate, sample.measure(decoded))
    return certificate


def check_words_and_claims(certificate: LanguageCertificate) -> None:
    """The words are those of the kind, the names are of its form, and both claims follow from the bounds."""
    expect("statement", certificate.statement, STATEMENT)
    expect("sample", certificate.sample, SAMPLE)
    fields = {"model": str, **(CELL_FIELDS if certificate.kind == "sublora" else {"mode": str})}
    found = {name: type(value) for name, value in certificate.identity.items()}
    if found != fields or certificate.identity["model"] != certificate.kind:
        raise UserError(f"identity: expected {', '.join(fields)} of a {certificate.kind}, found {certificate.identity}")
    for name in ("model", "trained_sha256"):
        if (getattr(certificate, name) is None) != (certificate.kind == "ngram"):
            raise UserError(f"{name}: expected one of a sublora and none of an ngram, found otherwise")
    if certificate.model is not None:
        network = certificate.model.network
        expect("model.network", network.plain(), decoder_settings(network).plain())
    expect_rows(certificate)
    claim, token_claim = claims_of(certificate.bounds, certificate.token_bounds)
    expect("claim", certificate.claim.plain(), claim.plain(), tolerance=0.0)
    expect("token_claim", certificate.token_claim.plain(), token_claim.plain(), tolerance=0.0)


def expect_rows(certificate: LanguageCertificate) -> None:
    """There are bounds of both claims to choose from; that they are all there is seen when they are derived again."""
    for name in ("bounds", "token_bounds"):
        if not getattr(certificate, name):
            raise UserError(f"{name}: expected one for each inequality and smoothing, found none")


def decoded_model(certificate: LanguageCertificate, bitstream: bytes, corpus: Corpus, threads: int) -> DecodedModel:
    """The model that the bitstream decodes to, on the CPU in single precision."""
    identity, vocabulary = certificate.identity, corpus.vocabulary
    if certificate.model is None:
        return decode_ngram(str(identity["mode"]), bitstream, vocabulary)
    cell = SubloraCell(int(identity["d"]), str(identity["mode"]), int(identity["seed"]))
    if not is_mode(cell.mode):
        raise UserError(f"identity.mode: expected an allocation mode, found {cell.mode!r}")
    execution = ExecutionSettings(device="cpu", precision="fp32", compile="off", threads=threads)
    runtime = runtimes.start(execution, training=False)
    start = described_start(certificate.model, cell, vocabulary)
    return decode_sublora(bitstream, start, cell, vocabulary, certificate.terms, runtime)


def check_code(certificate: LanguageCertificate, decoded: DecodedModel, sample: Sample) -> None:
    """The ledger is what the bitstream spends, sizes included, and L is that of the name."""
    ledger = sample.ledger(decoded)
    rows = {name: float(bits) for name, bits in ledger.rows().items()}
    expect("ledger", certificate.ledger, rows)
    expect("code_bits", certificate.code_bits, ledger.code_bits)
    expect("identity.levels", certificate.identity.get("levels", ABSENT), decoded.levels or ABSENT)


def check_scores(certificate: LanguageCertificate, measured: Measured) -> None:
    """Everything that follows from scores is what follows from those of this machine, up to its rounding."""
    _expect_scored("description", certificate.description, measured.description)
    for name in ("bounds", "token_bounds", "top_k"):
        recorded: Sequence[Settings] = getattr(certificate, name)
        found: Sequence[Settings] = getattr(measured, name)
        expect(f"{name}: number of rows", len(recorded), len(found))
        for index, (own, here) in enumerate(zip(recorded, found, strict=True)):
            _expect_scored(f"{name}.{index}", own, here)


def _expect_scored(where: str, recorded: Settings, found: Settings) -> None:
    here: dict[str, Any] = found.plain()
    for name, value in recorded.plain().items():
        scored = isinstance(value, float) and name != "alpha"
        tolerance = MEAN_TOLERANCE if name in MEANS else BOUND_TOLERANCE
        if abs(value - here[name]) > tolerance if scored else value != here[name]:
            differs(f"{where}.{name}", value, here[name])
