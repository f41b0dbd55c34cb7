"""What every certificate is made of: the prior's independence of the sample, the counts, the claims, the files."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from certifuse.bounds.certificate import (
    BITSTREAM_FILE,
    Certificate,
    Claim,
    Counts,
    Expert,
    ModelDescription,
    StoredFile,
    Untouched,
    write_certificate,
)
from certifuse.bounds.claims import coded_claim, untouched_claim
from certifuse.bounds.excess import PriorComparison
from certifuse.certified_model import described_prior
from certifuse.components import find_components, load_network
from certifuse.data.splits import Splits, check_disjoint, load_splits
from certifuse.errors import UserError
from certifuse.provenance import digest_bytes, digest_file, environment_record, write_atomically
from certifuse.recipes.judge import Judge, Samples
from certifuse.settings.base import Settings

STATEMENTS = {
    "subspace": "With probability 1 - delta over the draw of the sample, the model that the bitstream decodes to errs "
    "on at most a fraction `claim.bound` of new images, although it was trained on the sample.",
    "joint": "With probability 1 - delta over the draw of the certificate images, the jointly trained model errs on at "
    "most a fraction `held_out_claim.bound` of new images. `claim` is about its compressed copy, on the sample that it "
    "was trained on.",
}
SAMPLE = (
    "the fusion images: drawn without replacement, stratified by class, from what is left of the training images after "
    "a simple draw of the certificate images. They are independent but not identically distributed; the bounds are on "
    "the mean over the sample of each image's error probability (Hoeffding 1963), that is for the classes in the "
    "proportions of the sample."
)


@dataclass(frozen=True)
class CertifiedCell:
    """Which cell a certificate belongs to."""

    architecture: str
    fusion: str
    lam: str
    seed: int

    def identity(self) -> dict[str, str | int]:
        """The names of the cell."""
        return {"architecture": self.architecture, "fusion": self.fusion, "lambda": self.lam, "seed": self.seed}


@dataclass(frozen=True)
class Evidence:
    """The files that a certificate rests on. `experts` are (component, manifest) pairs."""

    images: Path
    splits: Path
    experts: Sequence[tuple[Path, Path]]
    delta: float
    threads: int
    source: str

    def check_independence(self) -> None:
        """UserError unless every expert was trained and selected on images outside the samples.

        The manifest ties the component to the split file that it was trained with, by digests; the split file says
        which images the expert saw, and reading it has shown that pool, fusion, validation and certificate sets are
        disjoint.
        """
        splits = load_splits(self.splits)
        for component, manifest in self.experts:
            _check_expert(component, manifest, self.splits, splits)

    def judge(self, model: ModelDescription) -> Judge:
        """Who counts the mistakes of the models around one prior."""
        samples = Samples.load(self.images, self.splits, self.threads)
        return Judge(samples, described_prior(model, [component for component, _ in self.experts]), model)


def _check_expert(component: Path, manifest_file: Path, splits_file: Path, splits: Splits) -> None:
    try:
        manifest = json.loads(manifest_file.read_text(encoding="utf-8"))
        member, recorded = manifest["member"], manifest["component_sha256"]
        trained_with = manifest["inputs_sha256"]["splits"]
        indices = splits.named()[member]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{manifest_file}: expected the manifest of a pre-trained expert: train it again") from None
    if recorded != (found := digest_file(component)):
        raise UserError(f"{component}: expected SHA-256 {recorded} as in {manifest_file}, found {found}")
    if trained_with != (here := digest_file(splits_file)):
        raise UserError(
            f"{manifest_file}: trained with splits {trained_with}, expected {here} ({splits_file}): the expert may "
            "have seen certificate images; train it again with these splits"
        )
    check_disjoint({member: indices, "fusion": splits.fusion, "certificate": splits.certificate})


def write_coded_certificate(
    directory: Path,
    kind: str,
    identity: dict[str, str | int],
    bitstream: bytes,
    judge: Judge,
    settings: Settings,
    evidence: Evidence,
    components: Path | None = None,
) -> None:
    """Write the bitstream, read it back, count the mistakes of what it decodes to, and write the claim.

    The bitstream is on disk before any mistake is counted. `components` holds the trained model itself where that is
    the one judged on the certificate images; without it the decoded model is.
    """
    path = directory / BITSTREAM_FILE
    write_atomically(path, lambda temporary: _write_bytes(temporary, bitstream))
    written = path.read_bytes()
    found = None if components is None else find_components(components)
    judged = None if found is None else load_network(found.experts, found.fusion, found.global_head)
    measured = judge.measure(written, judged)
    files = [] if found is None else [*found.experts, found.fusion, found.global_head]
    delta, code_bits = evidence.delta, measured.ledger.code_bits
    certificate = Certificate(
        kind=kind,
        identity=identity,
        statement=STATEMENTS[kind],
        sample=SAMPLE,
        delta=delta,
        bitstream_sha256=digest_bytes(written),
        code_bits=code_bits,
        ledger=measured.ledger.rows(),
        counts=measured.counts,
        claim=claim_of(measured.counts, code_bits, delta),
        prior_claim=prior_claim_of(measured.counts, delta),
        held_out_model="decoded" if components is None else "components",
        held_out=measured.held_out,
        held_out_claim=untouched_claim_of(measured.held_out, delta),
        held_out_prior=measured.held_out_prior,
        held_out_prior_claim=untouched_claim_of(measured.held_out_prior, delta),
        test=measured.test,
        test_prior=measured.test_prior,
        model=judge.model,
        experts=tuple(
            Expert(component=_stored(component, directory), manifest=_stored(manifest, directory))
            for component, manifest in evidence.experts
        ),
        components=tuple(_stored(file, directory) for file in files if file is not None),
        images=_stored(evidence.images, directory),
        splits=_stored(evidence.splits, directory),
        sets_sha256=judge.samples.splits.digests,
        settings=settings.plain(),
        source_fingerprint=evidence.source,
        environment=environment_record(),
    )
    write_certificate(directory, certificate)


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


def _write_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _stored(path: Path, directory: Path) -> StoredFile:
    return StoredFile(path=os.path.relpath(path.resolve(), directory.resolve()), sha256=digest_file(path))
