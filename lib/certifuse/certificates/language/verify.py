"""Verify the certificate of a language model: rebuild it on a CPU, score it again, derive every number again.

What is cheap comes first: the digests of all files, then all that follows from the certificate and the corpus, then
theta0 and the bitstream, and the scores last. Nothing is built before its size is looked at.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from certifuse.base.digests import canonical_json
from certifuse.base.errors import UserError
from certifuse.base.files import read_json
from certifuse.base.manifest import check_written_by, read_manifest
from certifuse.base.records import Settings
from certifuse.certificates.expectations import ABSENT, differs, expect
from certifuse.certificates.language.certificate import LanguageCertificate, LanguageClaim, read_language_certificate
from certifuse.certificates.language.claims import claims_of
from certifuse.certificates.language.issue import Measured, Sample, metrics_of
from certifuse.certificates.language.limits import check_network, check_vocabulary
from certifuse.certificates.language.model import (
    DecodedModel,
    decode_ngram,
    decode_sublora,
    decoder_settings,
    described_start,
)
from certifuse.certificates.language.words import sample_words, statement
from certifuse.certificates.sealed_files import as_it_was, check_directory, read_bitstream
from certifuse.data.text.corpus import Corpus, check_distinct, load_corpus
from certifuse.models.compute import runtime as runtimes
from certifuse.study import paths
from certifuse.study.cells import SubloraCell
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.study.settings.sublora import is_mode
from certifuse.study.steps.language import CertifyNgram, CertifySublora

MEAN_TOLERANCE = 1e-5
"""Of mean losses, in bits per token: single precision rounds differently between machines, by about 1e-7."""
BOUND_TOLERANCE = 1e-4
"""Of bounds and their terms, in bits per token, and of shares: a bound is found by bisection to 1e-6 of an interval
of up to 30 bits, and rounding may turn the rank of a token in a million."""
MEANS = ("risk_bpd", "unsmoothed_bpd", "deviation_bpd", "validation_bpd")
CELL_FIELDS = {"d": int, "mode": str, "seed": int, "levels": int}
BATCH_TOKENS = 16_384
"""Scored at once here, whatever the certificate says: that changes last bits only."""


def verify_language(directory: Path, threads: int = 1) -> LanguageCertificate:
    """The certificate in a directory, if every number of it is derived again from its files.

    Its claim is the worse of the recorded and the derived one, which differ by rounding at most. Scores are compared to
    `MEAN_TOLERANCE` and what follows from them to `BOUND_TOLERANCE`; all else is exact. Not derived, because nothing
    claimed depends on them: `environment`, `source_fingerprint`, `trained_sha256`, `settings` as far as they do not
    describe the model or the claim, how many tokens were scored at once, and which control of mode `learned` a
    training was. What no verification can see is `words.on_trust`.

    Raises:
        UserError: names the first thing that differs.
    """
    certificate = read_language_certificate(directory)
    bitstream = read_bitstream(directory, certificate.bitstream_sha256)
    check_words_and_claims(certificate)
    check_settings(certificate)
    check_files_beside(directory, certificate)
    corpus = load_corpus(as_it_was(certificate.corpus, directory).parent)
    check_vocabulary(corpus.vocabulary)
    check_distinct(corpus)
    sample = Sample(corpus, certificate.terms, certificate.description.validation_documents)
    expect("sizes", certificate.sizes.plain(), sample.sizes.plain())
    drawn_sha256 = sample.drawn_sha256(certificate.bitstream_sha256)
    expect("drawn_sha256", certificate.drawn_sha256, drawn_sha256)
    decoded = decoded_model(certificate, bitstream, corpus, threads)
    check_code(certificate, decoded, sample)
    measured = sample.measure(decoded, certificate.bitstream_sha256)
    check_scores(certificate, measured)
    return certificate.model_copy(update={"claim": worse_claim(certificate, measured)})


def check_words_and_claims(certificate: LanguageCertificate) -> None:
    """The words are those of the kind, the names are of its form, and both claims follow from the bounds."""
    expect("statement", certificate.statement, statement(certificate.terms))
    expect("sample", certificate.sample, sample_words(certificate.terms))
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
    claim, token_claim = claims_of(certificate.bounds, certificate.token_bounds, certificate.terms)
    expect("claim", certificate.claim.plain(), claim.plain(), tolerance=0.0)
    expect("token_claim", certificate.token_claim.plain(), token_claim.plain(), tolerance=0.0)


def check_settings(certificate: LanguageCertificate) -> None:
    """The settings of the step, which the files of the study repeat, describe the same model and the same terms."""
    identity, settings = certificate.identity, canonical_json(certificate.settings)
    try:
        if certificate.model is None:
            table = CertifyNgram.from_json(settings)
            bounds, named, found = table.bounds, {"mode": table.ngram}, {"mode": identity["mode"]}
        else:
            step = CertifySublora.from_json(settings)
            bounds, named = step.bounds, step.identity()
            found = {name: identity[name] for name in CELL_FIELDS}
            expect("settings.cell", certificate.settings["cell"], step.cell.names())
            described = {"network": decoder_settings(step.model).plain(), "projector": step.projector}
            own = {"network": certificate.model.network.plain(), "projector": certificate.model.projector}
            expect("settings.model", described, own)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"settings.{'.'.join(map(str, first['loc']))}: {first['msg']}: make it again") from None
    expect("settings", named, found)
    expect("settings.bounds", bounds.plain(), certificate.terms.plain())


def check_files_beside(directory: Path, certificate: LanguageCertificate) -> None:
    """What lies beside a certificate is its metrics and its manifest, where they are there, as they were made."""
    names = {paths.CERTIFICATE_FILE, paths.BITSTREAM_FILE, paths.SUBLORA_METRICS_FILE, paths.MANIFEST_FILE}
    check_directory(directory, names)
    metrics, manifest = directory / paths.SUBLORA_METRICS_FILE, directory / paths.MANIFEST_FILE
    if manifest.exists():
        facts = read_manifest(manifest)
        expect(f"{manifest}: settings", facts.get("settings"), certificate.settings)
        expect(f"{manifest}: source_fingerprint", facts.get("source_fingerprint"), certificate.source_fingerprint)
        for path in (directory / paths.CERTIFICATE_FILE, directory / paths.BITSTREAM_FILE, metrics):
            if path.exists():
                check_written_by(path, manifest)
    if metrics.exists():
        expect(str(metrics), *_metrics(metrics, certificate))


def _metrics(path: Path, certificate: LanguageCertificate) -> tuple[Any, Any]:
    """The metrics of a file, and those that follow from the certificate and the one time that was measured."""
    try:
        recorded = read_json(path)
        wall_s = float(recorded["scoring_wall_s"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path}: expected the metrics of the certificate, found another file: make it again") from None
    return recorded, metrics_of(certificate, wall_s)


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
    terms = certificate.terms
    terms = terms.model_copy(update={"batch_tokens": min(terms.batch_tokens, BATCH_TOKENS)})
    if terms.stride is not None and terms.stride > certificate.model.network.context:
        raise UserError(f"terms.stride: expected at most the context, found {terms.stride}")
    check_network(certificate.model.network, cell, vocabulary.inputs, terms.batch_tokens)
    execution = ExecutionSettings(device="cpu", precision="fp32", compile="off", threads=threads)
    runtime = runtimes.start(execution, training=False)
    start = described_start(certificate.model, cell, vocabulary)
    return decode_sublora(bitstream, start, cell, vocabulary, terms, runtime)


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
    for name in ("bounds", "token_bounds", "best_of", "top_k"):
        recorded: Sequence[Settings] = getattr(certificate, name)
        found: Sequence[Settings] = getattr(measured, name)
        expect(f"{name}: number of rows", len(recorded), len(found))
        for index, (own, here) in enumerate(zip(recorded, found, strict=True)):
            _expect_scored(f"{name}.{index}", own, here)


def worse_claim(certificate: LanguageCertificate, measured: Measured) -> LanguageClaim:
    """The claim with the larger of both risks and bounds, under the recorded smoothing."""
    claim = certificate.claim
    here = next(row for row in measured.bounds if (row.inequality, row.alpha) == (claim.inequality, claim.alpha))
    worse = {name: max(getattr(claim, name), getattr(here, name)) for name in ("risk_bpd", "bound_bpd")}
    return claim.model_copy(update=worse)


def _expect_scored(where: str, recorded: Settings, found: Settings) -> None:
    here: dict[str, Any] = found.plain()
    for name, value in recorded.plain().items():
        scored = isinstance(value, float) and name != "alpha"
        tolerance = MEAN_TOLERANCE if name in MEANS else BOUND_TOLERANCE
        if abs(value - here[name]) > tolerance if scored else value != here[name]:
            differs(f"{where}.{name}", value, here[name])
