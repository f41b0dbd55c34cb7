"""Verify a certificate: rebuild the model on a CPU, count its mistakes again, derive every number again."""

import math
from pathlib import Path
from typing import Any

from certifuse.bounds.certificate import BITSTREAM_FILE, Certificate, StoredFile, Untouched, read_certificate
from certifuse.bounds.ledger import Ledger
from certifuse.certified_model import described_prior
from certifuse.components import load_network
from certifuse.errors import UserError
from certifuse.provenance import digest_bytes, digest_file
from certifuse.recipes.certify import SAMPLE, STATEMENTS, Evidence, claim_of, prior_claim_of, untouched_claim_of
from certifuse.recipes.judge import Judge, Measured, Samples

RELATIVE_TOLERANCE = 1e-9
"""Of bounds: they are computed in double precision, whose last digits differ between C libraries."""


def verify_certificate(directory: Path, threads: int = 1) -> Certificate:
    """The certificate in a directory, if every number of it is derived again from its files.

    Mistakes are counted in single precision, whose rounding differs between machines: a count may differ by the number
    of images that sit that near to the edge (see `decisions.decide`), and the bounds are derived from the recorded one.

    Raises:
        UserError: names the first thing that differs.
    """
    certificate = read_certificate(directory)
    bitstream = _read_bitstream(directory, certificate)
    experts = [(_path(pair.component, directory), _path(pair.manifest, directory)) for pair in certificate.experts]
    components = [_path(file, directory) for file in certificate.components]
    images, splits = _path(certificate.images, directory), _path(certificate.splits, directory)
    Evidence(images, splits, experts, certificate.delta, threads, "").check_independence()
    samples = Samples.load(images, splits, threads)
    _expect("sets_sha256", certificate.sets_sha256, samples.splits.digests)
    prior = described_prior(certificate.model, [component for component, _ in experts])
    trained = load_network(components[:-2], components[-2], components[-1]) if components else None
    measured = Judge(samples, prior, certificate.model).measure(bitstream, trained)
    _check_counts(certificate, measured)
    _check_numbers(certificate, measured.ledger)
    return certificate


def _read_bitstream(directory: Path, certificate: Certificate) -> bytes:
    path = directory / BITSTREAM_FILE
    try:
        data = path.read_bytes()
    except OSError:
        raise UserError(f"{path}: expected the bitstream of the certificate, found no file") from None
    _expect(BITSTREAM_FILE, certificate.bitstream_sha256, digest_bytes(data))
    return data


def _path(file: StoredFile, directory: Path) -> Path:
    path = directory / file.path
    if not path.is_file():
        raise UserError(f"{path}: expected a file with SHA-256 {file.sha256}, found none: restore it or run its step")
    _expect(str(path), file.sha256, digest_file(path))
    return path


def _check_counts(certificate: Certificate, measured: Measured) -> None:
    """Every recorded count is the one found here, up to near ties."""
    ties = measured.counts.near_ties + measured.counts.prior_near_ties
    for name, recorded in certificate.counts.plain().items():
        exact = name == "examples"
        _expect_count(f"counts.{name}", recorded, getattr(measured.counts, name), 0 if exact else ties)
    for name in ("held_out", "held_out_prior", "test", "test_prior"):
        seen: Untouched | None = getattr(certificate, name)
        found: Untouched | None = getattr(measured, name)
        if seen is None or found is None:
            _expect(name, seen, found)
            continue
        for field, recorded in seen.plain().items():
            slack = 0 if field == "examples" else found.near_ties
            _expect_count(f"{name}.{field}", recorded, getattr(found, field), slack)


def _check_numbers(certificate: Certificate, ledger: Ledger) -> None:
    """Everything that follows from counts and bits follows."""
    counts, delta = certificate.counts, certificate.delta
    _expect("ledger", certificate.ledger, ledger.rows())
    _expect("code_bits", certificate.code_bits, ledger.code_bits)
    claims = {
        "claim": claim_of(counts, certificate.code_bits, delta),
        "prior_claim": prior_claim_of(counts, delta),
        "held_out_claim": untouched_claim_of(certificate.held_out, delta),
        "held_out_prior_claim": untouched_claim_of(certificate.held_out_prior, delta),
    }
    for name, derived in claims.items():
        recorded = getattr(certificate, name)
        _expect(name, recorded and recorded.plain(), derived and derived.plain())
    _expect("kind", certificate.kind in STATEMENTS, True)
    _expect("statement", certificate.statement, STATEMENTS[certificate.kind])
    _expect("sample", certificate.sample, SAMPLE)
    _expect("held_out_model", certificate.held_out_model, "components" if certificate.components else "decoded")
    expected = {"architecture": certificate.model.architecture, "fusion": certificate.model.fusion.get("fusion")}
    expected |= {"d": certificate.model.projector.subspace_dim}
    _expect("identity", {key: certificate.identity.get(key) for key in expected}, expected)


def _expect_count(where: str, recorded: int, found: int, slack: int) -> None:
    if abs(recorded - found) > slack:
        _differs(where, recorded, found)


def _expect(where: str, recorded: Any, found: Any) -> None:
    if not _equal(recorded, found):
        _differs(where, recorded, found)


def _equal(recorded: Any, found: Any) -> bool:
    if isinstance(recorded, dict) and isinstance(found, dict):
        return recorded.keys() == found.keys() and all(_equal(recorded[key], found[key]) for key in recorded)
    if isinstance(recorded, float) and isinstance(found, float):
        return math.isclose(recorded, found, rel_tol=RELATIVE_TOLERANCE)
    return bool(recorded == found)


def _differs(where: str, recorded: Any, found: Any) -> None:
    raise UserError(f"{where}: the certificate says {recorded}, found {found}")
