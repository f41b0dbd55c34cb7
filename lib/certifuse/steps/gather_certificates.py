"""Gather certificates into one table, their ledgers into another, and list those that are missing.

Reads the certificates below the results directory; writes `metrics/*certificate*.csv` and a manifest. Seconds.
"""

from typing import Any

from certifuse.base.manifest import SHARED_NAME, StepRecord
from certifuse.base.rows import write_rows
from certifuse.certificates.images.certificate import Certificate, Claim, Untouched, read_certificate
from certifuse.evaluation.bounds.claims import REPORTED
from certifuse.study import paths
from certifuse.study.paths import CERTIFICATE_FILE
from certifuse.study.steps.gathering import GatherCertificates, GatheringFiles

IDENTITY = ("architecture", "fusion", "lambda", "seed", "kind", "d", "levels")
COUNTS = ("examples", "errors", "prior_errors", "worse", "better")
UNTOUCHED = ("held_out_examples", "held_out_errors", "held_out_percent", "held_out_bound_percent")
TEST = ("test_examples", "test_errors", "test_percent")
COLUMNS = (
    *(*IDENTITY, "scheme", *COUNTS, "code_bits", "delta", "risk_percent", "bound_percent", "inequality"),
    *(f"bound_{name}_percent" for name in REPORTED),
    *(*UNTOUCHED, *TEST),
)


def expected_directories(step: GatherCertificates) -> dict[str, dict[str, Any]]:
    """The directory of each expected certificate, with its names: cell, kind, d and levels."""
    expected: dict[str, dict[str, Any]] = {}
    for cell in step.joint:
        directory = paths.JOINT_CERTIFICATE_DIR.format(**cell.names())
        expected[directory] = {**cell.names(), "kind": "joint", "d": None, "levels": None}
    for trained in step.subspace:
        for levels in step.levels:
            names = {**trained.cell.names(), "kind": "subspace", "d": trained.d, "levels": levels}
            expected[f"{paths.SUBSPACE_DIR.format(**names)}/{paths.LEVELS_DIR.format(levels=levels)}"] = names
    return expected


def gather_certificates(step: GatherCertificates, files: GatheringFiles) -> None:
    """Write the gathered tables below the results directory."""
    results = files.results_dir
    expected = {results / directory: names for directory, names in expected_directories(step).items()}
    finished = [directory for directory in expected if (directory / CERTIFICATE_FILE).is_file()]
    record = StepRecord(step, files.source, [directory / CERTIFICATE_FILE for directory in finished])
    certificates = [read_certificate(directory) for directory in finished]
    missing = [
        {**names, "reason": "no certificate was written"}
        for directory, names in expected.items()
        if directory not in finished
    ]
    around_average = [certificate for certificate in certificates if certificate.kind == "subspace"]
    priors = {(row["architecture"], row["seed"]): row for row in map(_prior_row, around_average)}
    rows = [{"scheme": step.scheme, **row} for row in [*priors.values(), *map(_row, certificates)]]
    ledgers = [
        {**_identity(certificate), "charge": charge, "bits": bits}
        for certificate in certificates
        for charge, bits in certificate.ledger.items()
    ]
    write_rows(results / paths.CERTIFICATES, rows, COLUMNS)
    write_rows(results / paths.LEDGERS, ledgers, (*IDENTITY, "charge", "bits"))
    write_rows(results / paths.MISSING_CERTIFICATES, missing, (*IDENTITY, "reason"))
    written = [results / table for table in (paths.CERTIFICATES, paths.LEDGERS, paths.MISSING_CERTIFICATES)]
    data = {name: [getattr(own, name).sha256 for own in certificates] for name in ("images", "splits")}
    record.write(written[0].with_name(SHARED_NAME.format(job=step.rule)), written, data=data)


def _identity(certificate: Certificate) -> dict[str, Any]:
    return {**certificate.identity, "kind": certificate.kind}


def _row(certificate: Certificate) -> dict[str, Any]:
    counts = certificate.counts.plain()
    claim = certificate.claim
    row = _identity(certificate) | {name: counts[name] for name in COUNTS}
    row |= {"code_bits": certificate.code_bits, "delta": certificate.delta, **_claimed(claim)}
    return row | _untouched(certificate.held_out, certificate.held_out_claim) | _test(certificate.test)


def _prior_row(certificate: Certificate) -> dict[str, Any]:
    """The row of the prior of a certificate in a subspace: the average, which all of one (architecture, seed) share."""
    counts = certificate.counts
    row: dict[str, Any] = {name: certificate.identity[name] for name in ("architecture", "seed")}
    row |= {"fusion": None, "lambda": None, "kind": "prior", "d": 0, "levels": 0, "code_bits": 0.0}
    row |= {"examples": counts.examples, "errors": counts.prior_errors, "prior_errors": counts.prior_errors}
    row |= {"worse": 0, "better": 0, "delta": certificate.delta, **_claimed(certificate.prior_claim)}
    row |= _untouched(certificate.held_out_prior, certificate.held_out_prior_claim)
    return row | _test(certificate.test_prior)


def _claimed(claim: Claim) -> dict[str, Any]:
    row = {"risk_percent": 100 * claim.risk, "bound_percent": 100 * claim.bound, "inequality": claim.inequality}
    return row | {f"bound_{name}_percent": 100 * value for name, value in claim.bounds.items()}


def _untouched(seen: Untouched | None, claim: Claim | None) -> dict[str, Any]:
    if seen is None or claim is None:
        return {}
    return dict(zip(UNTOUCHED, (seen.examples, seen.errors, 100 * claim.risk, 100 * claim.bound), strict=True))


def _test(seen: Untouched) -> dict[str, Any]:
    return dict(zip(TEST, (seen.examples, seen.errors, 100 * seen.errors / seen.examples), strict=True))
