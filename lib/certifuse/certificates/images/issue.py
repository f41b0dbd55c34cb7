"""Issuing a certificate: the prior's independence of the sample, the counts, the claims, the files."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from certifuse.base.digests import digest_bytes
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
from certifuse.certificates.images.judge import Judge, Samples, untouched
from certifuse.certificates.images.model import described_prior
from certifuse.certificates.sealed_files import stored, write_bitstream
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

    def check_independence(self) -> None:
        """UserError unless every expert was trained and selected on images outside the samples."""
        check_experts(self.experts, self.images, self.splits)

    def judge(self, model: ModelDescription) -> Judge:
        """The judge that counts the mistakes of the models around one prior."""
        samples = Samples.load(self.images, self.splits, self.threads)
        return Judge(samples, described_prior(model, [component for component, _ in self.experts]), model)


@dataclass(frozen=True)
class JointModel:
    """A jointly trained model: its experts, fusion module and global head, and the manifest of its training."""

    components: Sequence[Path]
    manifest: Path

    def check_independence(self, evidence: Evidence) -> dict[str, Any]:
        """Its manifest; UserError unless it was trained from the experts on the fusion images alone."""
        return check_joint(self.components, self.manifest, evidence.experts, evidence.images, evidence.splits)

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
        statement=STATEMENTS[kind],
        sample=SAMPLE,
        delta=delta,
        bitstream_sha256=digest_bytes(written),
        code_bits=ledger.code_bits,
        ledger=ledger.rows(),
        counts=counts,
        claim=claim_of(counts, ledger.code_bits, delta),
        prior_claim=prior_claim_of(counts, delta),
        held_out_model=HELD_OUT_MODELS[kind],
        held_out=held_out,
        held_out_claim=untouched_claim_of(held_out, delta),
        held_out_prior=held_out_prior,
        held_out_prior_claim=untouched_claim_of(held_out_prior, delta),
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
        sets_sha256=judge.samples.splits.digests,
        settings=settings.plain(),
        source_fingerprint=evidence.source,
        environment=environment_record(),
    )
    write_certificate(directory, certificate)
    bound_percent, bits = upper(certificate.claim.bound, 2, 100), ledger.code_bits
    log.info("[%s-%s] at most %s %% wrong, with %.0f bits", label(identity), kind, bound_percent, bits)


def claim_of(counts: Counts, code_bits: float, delta: float) -> Claim:
    """The claim on the decoded model."""
    pairs = PriorComparison(
        prior_errors=counts.prior_errors, worse=counts.worse, better=counts.better, examples=counts.examples
    )
    return Claim(**coded_claim(pairs, code_bits, delta))


def prior_claim_of(counts: Counts, delta: float) -> Claim:
    """The 0-bit claim: the prior on the same sample, which it was chosen without."""
    return Claim(**untouched_claim(counts.prior_errors, counts.examples, delta))


def untouched_claim_of(seen: Untouched | None, delta: float) -> Claim | None:
    """The claim on a model that was chosen without the sample; None without one."""
    return None if seen is None else Claim(**untouched_claim(seen.errors, seen.examples, delta))
