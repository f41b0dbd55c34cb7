"""Verify a certificate: rebuild the model on a CPU, count its mistakes again, derive every number again.

What is cheap comes first: the digests of all files, then all that follows from the certificate, the bitstream and the
manifests, then the draw of the sample, and the networks last.
"""

from pathlib import Path

from certifuse.base.errors import UserError
from certifuse.certificates.coding.codec import decode
from certifuse.certificates.expectations import differs, expect
from certifuse.certificates.images.certificate import Certificate, Untouched, read_certificate
from certifuse.certificates.images.checks import check_claims, check_code, check_model, check_settings
from certifuse.certificates.images.issue import Claims, Evidence, JointModel
from certifuse.certificates.images.judge import Measured, untouched
from certifuse.certificates.images.sample import check_sample
from certifuse.certificates.images.written import check_written
from certifuse.certificates.sealed_files import StoredFile, as_it_was, read_bitstream
from certifuse.data.images.splits import load_splits
from certifuse.evaluation.images.decisions import Decisions, most_near_ties
from certifuse.study.steps.certificates import CertifyJoint, CertifySubspace


def verify_certificate(directory: Path, threads: int = 1) -> Certificate:
    """The certificate in a directory, if every number of it is derived again from its files.

    Mistakes are counted in single precision, whose rounding differs between machines: a count may differ by the number
    of images that sit that near to the edge (see `decisions.decide`), of which there may be few. The claims of what is
    returned are the worse of those that follow from the recorded counts and from the counts found here.
    Not derived, because nothing claimed depends on them: `environment`, `source_fingerprint`, and `settings` as far as
    they steered a training; the manifest of the step says the same. What no verification can see is `on_trust`.

    Raises:
        UserError: names the first thing that differs.
    """
    certificate = read_certificate(directory)
    bitstream = read_bitstream(directory, certificate.bitstream_sha256)
    step = check_settings(certificate)
    check_written(directory, certificate, step)
    evidence, trained = _files(directory, certificate, threads)
    coded = decode(bitstream, _most_numbers(step, evidence, trained))
    check_code(certificate, coded)
    check_claims(certificate)
    evidence.check_independence(step.cell.names())
    experts = [component for component, _ in evidence.experts]
    check_model(certificate, step, experts, trained)
    if trained:
        trained.check_independence(step.cell.names(), evidence)
    splits = load_splits(evidence.splits)
    expect("split_settings", certificate.split_settings.plain(), splits.settings.plain(), tolerance=0.0)
    expect("sets_sha256", certificate.sets_sha256, splits.digests)
    check_sample(evidence.images, evidence.splits)
    measured = evidence.judge(certificate.model).measure(coded, trained.network() if trained else None)
    _check_counts(certificate, measured)
    return Claims.recorded(certificate).or_worse(Claims.found(certificate, measured)).of(certificate)


def on_trust(certificate: Certificate) -> tuple[str, ...]:
    """What no verification can see, and a reader of a verified certificate takes on trust."""
    trusted = (
        "that the images are independent draws of one origin, and were neither chosen nor changed before the study",
        "that the experts, and a joint model, were trained on no images but those that their manifests name",
        f"that split seed {certificate.split_settings.seed} was not chosen by what it leads to",
        "that the settings were fixed before the sample was looked at",
    )
    if certificate.kind == "joint":
        return trusted
    return (*trusted, f"that projector seed {certificate.model.projector.seed} was not chosen by what it leads to")


def _most_numbers(step: CertifySubspace | CertifyJoint, evidence: Evidence, trained: JointModel | None) -> int:
    """The greatest d that can be right: that of the settings, or the weights of the components, a byte or more each."""
    if isinstance(step, CertifySubspace):
        return step.cell.d
    components = [*(component for component, _ in evidence.experts), *(trained.components if trained else ())]
    return sum(path.stat().st_size for path in components)


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
    """Every recorded count is the one found here, up to the few images that rounding may turn in it."""
    fusion, counts, recorded = measured.fusion, measured.fusion.counts.plain(), certificate.counts.plain()
    model, prior = _few(fusion.model, "fusion"), _few(fusion.prior, "fusion")
    either = int((fusion.model.near_N | fusion.prior.near_N).sum())
    slack = {"examples": 0, "errors": model, "prior_errors": prior, "worse": either, "better": either}
    for name, turned in slack.items():
        _expect_count(f"counts.{name}", recorded[name], counts[name], turned)
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
    _expect_count(f"{name}.errors", recorded.errors, found.errors, _few(found, name))


def _few(found: Decisions, where: str) -> int:
    """The number of near ties. UserError where it is larger than that of any model whose logits say something."""
    most = most_near_ties(found.examples)
    if found.near_ties > most:
        raise UserError(
            f"{where}: expected at most {most} of {found.examples} images so near to a tie that rounding decides, "
            f"found {found.near_ties}: the counts of this model mean nothing"
        )
    return found.near_ties


def _expect_count(where: str, recorded: int, found: int, slack: int) -> None:
    if abs(recorded - found) > slack:
        differs(where, recorded, found)
