"""Issuing a certificate: the prior's independence of the sample, the counts, the claims, the files."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Self

from certifuse.base.digests import canonical_json, digest_bytes
from certifuse.base.environment import environment_record
from certifuse.base.manifest import label
from certifuse.base.records import Settings
from certifuse.certificates.coding.codec import decode
from certifuse.certificates.images.certificate import (
    Certificate,
    Claim,
    Counts,
    Expert,
    ModelDescription,
    Untouched,
    write_certificate,
)
from certifuse.certificates.images.independence import check_experts, check_joint
from certifuse.certificates.images.judge import Judge, Measured, Samples, untouched
from certifuse.certificates.images.model import described_prior
from certifuse.certificates.images.sample import check_copies
from certifuse.certificates.sealed_files import stored, write_bitstream
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import load_splits
from certifuse.evaluation.bounds.claims import coded_claim, untouched_claim
from certifuse.evaluation.bounds.excess import PriorComparison
from certifuse.evaluation.bounds.ledger import Ledger
from certifuse.evaluation.bounds.rounding import upper
from certifuse.models.components.assembly import load_network
from certifuse.models.images.fused_network import FusedNetwork

log = logging.getLogger(__name__)

Kind = Literal["subspace", "joint"]
STATEMENTS: dict[Kind, str] = {
    "subspace": "With probability 1 - delta over the draw of the sample, the model that the bitstream decodes to errs "
    "on at most a fraction `claim.bound` of new images with the classes in the proportions of the sample, although it "
    "was trained on the sample.",
    "joint": "With probability 1 - delta over the draw of the certificate images, the jointly trained model errs on at "
    "most a fraction `held_out_claim.bound` of new images. `claim` is about its compressed copy, on new images with "
    "the classes in the proportions of the sample that it was trained on, and vacuous where its bound is 1.",
}
HELD_OUT_MODELS: dict[Kind, Literal["decoded", "components"]] = {"subspace": "decoded", "joint": "components"}
SAMPLE = (
    "the fusion images: drawn without replacement, stratified by class, from what is left of the training images after "
    "a simple draw of the certificate images. Given the classes, they are independent but not identically distributed; "
    "the bounds are on the mean over the sample of each image's error probability, that is for the classes in the "
    "proportions of the sample. The binomial tail is used as far as it holds for such draws (errors at most examples p "
    "- 1 at the bound p, Hoeffding 1956), and the kl form beyond (Hoeffding 1963)."
)
SETTINGS = (
    " The model is described by the settings of its step with SHA-256 {digest}, which were fixed before the sample was "
    "looked at."
)


def statement_of(kind: Kind, settings: Mapping[str, Any]) -> str:
    """What is claimed, of a model that these settings describe."""
    return STATEMENTS[kind] + SETTINGS.format(digest=digest_bytes(canonical_json(settings).encode()))


@dataclass(frozen=True)
class Evidence:
    """The files that a certificate rests on. `experts` are (component, manifest) pairs."""

    images: Path
    splits: Path
    experts: Sequence[tuple[Path, Path]]
    delta: float
    threads: int
    source: str

    def files(self) -> list[Path]:
        """All of them."""
        return [self.images, self.splits, *(path for pair in self.experts for path in pair)]

    def check_independence(self, identity: Mapping[str, Any]) -> None:
        """UserError unless the experts of these names were trained and selected on images outside the samples."""
        check_experts(self.experts, identity, self.images, self.splits)

    def check_copies(self) -> None:
        """UserError where images of the samples may be copies of others: no certificate of them would be verified."""
        check_copies(load_image_set(self.images), load_splits(self.splits), str(self.images))

    def judge(self, model: ModelDescription) -> Judge:
        """The judge that counts the mistakes of the models around one prior."""
        samples = Samples.load(self.images, self.splits, self.threads)
        return Judge(samples, described_prior(model, [component for component, _ in self.experts]), model)


@dataclass(frozen=True)
class JointModel:
    """A jointly trained model: its experts, fusion module and global head, and the manifest of its training."""

    components: Sequence[Path]
    manifest: Path

    def check_independence(self, identity: Mapping[str, Any], evidence: Evidence) -> None:
        """UserError unless it is the cell of these names, trained from the experts on the fusion images alone."""
        check_joint(self.components, self.manifest, identity, evidence.experts, evidence.images, evidence.splits)

    def network(self) -> FusedNetwork:
        """The trained network."""
        *experts, fusion, head = self.components
        return load_network(experts, fusion, head)


def write_coded_certificate(
    directory: Path,
    kind: Kind,
    identity: dict[str, str | int],
    bitstream: bytes,
    judge: Judge,
    settings: Settings,
    evidence: Evidence,
    trained: JointModel | None = None,
) -> None:
    """Write the bitstream, read it back, count the mistakes of what it decodes to, and write the claim.

    The bitstream is on disk before any mistake is counted. `trained` is the model that is judged on the certificate
    images; without it the decoded one is.
    """
    written = write_bitstream(directory, bitstream)
    coded = decode(written)
    measured = judge.measure(coded, trained.network() if trained else None)
    ledger, counts, delta = Ledger(coded.charges), measured.fusion.counts, evidence.delta
    kept = measured.certificate
    held_out, held_out_prior = (untouched(kept.model), untouched(kept.prior)) if kept else (None, None)
    certificate = Certificate(
        kind=kind,
        identity=identity,
        statement=statement_of(kind, settings.plain()),
        sample=SAMPLE,
        delta=delta,
        bitstream_sha256=digest_bytes(written),
        code_bits=ledger.code_bits,
        ledger=ledger.rows(),
        counts=counts,
        **Claims.derived(counts, held_out, held_out_prior, ledger.code_bits, delta).named(),
        held_out_model=HELD_OUT_MODELS[kind],
        held_out=held_out,
        held_out_prior=held_out_prior,
        test=untouched(measured.test.model),
        test_prior=untouched(measured.test.prior),
        model=judge.model,
        experts=tuple(
            Expert(component=stored(component, directory), manifest=stored(manifest, directory))
            for component, manifest in evidence.experts
        ),
        components=tuple(stored(file, directory) for file in (trained.components if trained else ())),
        components_manifest=stored(trained.manifest, directory) if trained else None,
        images=stored(evidence.images, directory),
        splits=stored(evidence.splits, directory),
        split_settings=judge.samples.splits.settings,
        sets_sha256=judge.samples.splits.digests,
        settings=settings.plain(),
        source_fingerprint=evidence.source,
        environment=environment_record(),
    )
    write_certificate(directory, certificate)
    bound_percent, bits = upper(certificate.claim.bound, 2, 100), ledger.code_bits
    log.info("[%s-%s] at most %s %% wrong, with %.0f bits", label(identity), kind, bound_percent, bits)


@dataclass(frozen=True)
class Claims:
    """All claims of a certificate; those on the certificate images are None where the study keeps none."""

    claim: Claim
    prior_claim: Claim
    held_out_claim: Claim | None
    held_out_prior_claim: Claim | None

    @classmethod
    def derived(
        cls,
        counts: Counts,
        held_out: Untouched | None,
        held_out_prior: Untouched | None,
        code_bits: float,
        delta: float,
    ) -> Self:
        """What follows from counts and bits: on the decoded model, and at 0 bits on all that never saw the images."""
        pairs = PriorComparison(
            prior_errors=counts.prior_errors, worse=counts.worse, better=counts.better, examples=counts.examples
        )
        return cls(
            claim=Claim(**coded_claim(pairs, code_bits, delta)),
            prior_claim=Claim(**untouched_claim(counts.prior_errors, counts.examples, delta)),
            held_out_claim=_untouched_claim(held_out, delta),
            held_out_prior_claim=_untouched_claim(held_out_prior, delta),
        )

    @classmethod
    def recorded(cls, certificate: Certificate) -> Self:
        """Those that follow from the counts that a certificate records."""
        held_out, held_out_prior = certificate.held_out, certificate.held_out_prior
        return cls.derived(certificate.counts, held_out, held_out_prior, certificate.code_bits, certificate.delta)

    @classmethod
    def found(cls, certificate: Certificate, measured: Measured) -> Self:
        """Those that follow from the counts of this machine."""
        kept = measured.certificate
        held_out, held_out_prior = (untouched(kept.model), untouched(kept.prior)) if kept else (None, None)
        counts = measured.fusion.counts
        return cls.derived(counts, held_out, held_out_prior, certificate.code_bits, certificate.delta)

    def or_worse(self, other: Self) -> Self:
        """Of each claim the one with the larger bound."""
        theirs = other.named()
        worse: dict[str, Any] = {}
        for name, claim in self.named().items():
            both = [each for each in (claim, theirs[name]) if each]
            worse[name] = max(both, key=lambda each: float(each.bound), default=None)
        return type(self)(**worse)

    def named(self) -> dict[str, Any]:
        """By their names in a certificate."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def of(self, certificate: Certificate) -> Certificate:
        """A certificate with these claims."""
        return certificate.model_copy(update=self.named())


def _untouched_claim(seen: Untouched | None, delta: float) -> Claim | None:
    return None if seen is None else Claim(**untouched_claim(seen.errors, seen.examples, delta))
