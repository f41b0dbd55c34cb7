"""Verify a certificate: rebuild the model on a CPU, count its mistakes again, derive every number again.

What is cheap comes first: the digests of all files, then all that follows from the certificate, the bitstream and the
manifests, and the networks last.
"""

from pathlib import Path

from certifuse.certificates.coding.codec import decode
from certifuse.certificates.expectations import differs, expect
from certifuse.certificates.images.certificate import Certificate, Untouched, read_certificate
from certifuse.certificates.images.checks import check_claims, check_code, check_model
from certifuse.certificates.images.issue import Evidence, JointModel
from certifuse.certificates.images.judge import Measured, untouched
from certifuse.certificates.sealed_files import StoredFile, as_it_was, read_bitstream
from certifuse.evaluation.images.decisions import Decisions


def verify_certificate(directory: Path, threads: int = 1) -> Certificate:
    """The certificate in a directory, if every number of it is derived again from its files.

    Mistakes are counted in single precision, whose rounding differs between machines: a count may differ by the number
    of images that sit that near to the edge (see `decisions.decide`), and the bounds are derived from the recorded one.
    Not derived, because nothing claimed depends on them: `settings`, `environment`, `source_fingerprint`, and the
    lambda that a model in a subspace was trained with.

    Raises:
        UserError: names the first thing that differs.
    """
    certificate = read_certificate(directory)
    bitstream = read_bitstream(directory, certificate.bitstream_sha256)
    evidence, trained = _files(directory, certificate, threads)
    coded = decode(bitstream)
    check_code(certificate, coded)
    check_claims(certificate)
    evidence.check_independence()
    manifest = trained.check_independence(evidence) if trained else None
    check_model(certificate, [component for component, _ in evidence.experts], trained, manifest)
    judge = evidence.judge(certificate.model)
    expect("sets_sha256", certificate.sets_sha256, judge.samples.splits.digests)
    _check_counts(certificate, judge.measure(coded, trained.network() if trained else None))
    return certificate


def _files(directory: Path, certificate: Certificate, threads: int) -> tuple[Evidence, JointModel | None]:
    """The files that a certificate names, each as it was."""

    def there(file: StoredFile) -> Path:
        return as_it_was(file, directory)

    splits = there(certificate.splits)
    experts = [(there(expert.component), there(expert.manifest)) for expert in certificate.experts]
    trained = None
    if certificate.components_manifest is not None:
        components = [there(file) for file in certificate.components]
        trained = JointModel(components, there(certificate.components_manifest))
    images = there(certificate.images)
    return Evidence(images, splits, experts, certificate.delta, threads, certificate.source_fingerprint), trained


def _check_counts(certificate: Certificate, measured: Measured) -> None:
    """Every recorded count is the one found here, up to images that rounding may turn."""
    fusion, counts = measured.fusion, measured.fusion.counts.plain()
    slack = fusion.model.near_ties + fusion.prior.near_ties
    for name, recorded in certificate.counts.plain().items():
        _expect_count(f"counts.{name}", recorded, counts[name], 0 if name == "examples" else slack)
    kept = measured.certificate
    _check_untouched("held_out", certificate.held_out, kept.model if kept else None)
    _check_untouched("held_out_prior", certificate.held_out_prior, kept.prior if kept else None)
    _check_untouched("test", certificate.test, measured.test.model)
    _check_untouched("test_prior", certificate.test_prior, measured.test.prior)


def _check_untouched(name: str, recorded: Untouched | None, found: Decisions | None) -> None:
    if recorded is None or found is None:
        expect(name, recorded and recorded.plain(), untouched(found).plain() if found else None)
        return
    expect(f"{name}.examples", recorded.examples, found.examples)
    _expect_count(f"{name}.errors", recorded.errors, found.errors, found.near_ties)


def _expect_count(where: str, recorded: int, found: int, slack: int) -> None:
    if abs(recorded - found) > slack:
        differs(where, recorded, found)
