"""The files of a certificate: a bitstream, and JSON in one canonical form, sealed by its own digest."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from certifuse.base.records import Count, Index, NonNegative, OpenFraction, Settings
from certifuse.certificates.sealed_files import StoredFile, read_sealed_json, write_sealed_json
from certifuse.study.paths import CERTIFICATE_FILE
from certifuse.study.settings.data import SplitSettings

FORMAT = 2


class Expert(Settings):
    """A pre-trained expert: a part of the prior. The manifest tells which images it was trained on."""

    component: StoredFile
    manifest: StoredFile


class ProjectorDescription(Settings):
    """P: R^d -> R^D."""

    kind: str
    seed: int
    subspace_dim: int
    ambient_dim: int


class ModelDescription(Settings):
    """Recipe by which theta = theta0 + P w is rebuilt from the experts and the decoded w."""

    architecture: str
    fusion: dict[str, Any]
    anchored: bool
    parameters: str
    initialisation_seed: int
    projector: ProjectorDescription
    theta0_sha256: str


class Counts(Settings):
    """Mistakes on the sample that the model was trained on, beside those of its prior, and where the two differ."""

    examples: Annotated[int, Field(ge=2)]
    errors: Index
    prior_errors: Index
    worse: Index
    better: Index

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.errors != self.prior_errors + self.worse - self.better:
            raise ValueError("errors are not prior_errors + worse - better")
        if self.better > self.prior_errors or self.prior_errors + self.worse > self.examples:
            raise ValueError("more differences from the prior than there are images to differ on")
        return self


class Untouched(Settings):
    """Mistakes on images that neither training nor selection touched."""

    examples: Count
    errors: Index

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.errors > self.examples:
            raise ValueError("more errors than examples")
        return self


class Claim(Settings):
    """Upper bounds on the error probability, in [0, 1]."""

    risk: float
    bound: float
    inequality: str
    bounds: dict[str, float]


class Certificate(Settings):
    """Everything that is claimed of one model, and all that is needed to check it.

    `claim` is about the decoded model on the fusion images, which it was trained on; `prior_claim` about its prior
    on the same images, at 0 bits. `held_out` counts the mistakes of `held_out_model` on the certificate images, which
    nothing was trained or selected on, and `held_out_prior` those of the prior; null where the study keeps none.
    `split_settings` say how all sets of images were drawn, and `settings` are those of the step that wrote it.
    `components` and `components_manifest` are those of a jointly trained model, and what says how it was trained.
    """

    model_config = ConfigDict(**{**Settings.model_config, "protected_namespaces": ()})

    format: int = FORMAT
    kind: Literal["subspace", "joint"]
    identity: dict[str, str | int]
    statement: str
    sample: str
    delta: OpenFraction
    bitstream_sha256: str
    code_bits: NonNegative
    ledger: dict[str, float]
    counts: Counts
    claim: Claim
    prior_claim: Claim
    held_out_model: Literal["decoded", "components"]
    held_out: Untouched | None
    held_out_claim: Claim | None
    held_out_prior: Untouched | None
    held_out_prior_claim: Claim | None
    test: Untouched
    test_prior: Untouched
    model: ModelDescription
    experts: Annotated[tuple[Expert, ...], Field(min_length=1)]
    components: tuple[StoredFile, ...]
    components_manifest: StoredFile | None
    images: StoredFile
    splits: StoredFile
    split_settings: SplitSettings
    sets_sha256: dict[str, str]
    settings: dict[str, Any]
    source_fingerprint: str
    environment: dict[str, Any]


def write_certificate(directory: Path, certificate: Certificate) -> None:
    """Write `certificate.json` into a directory, atomically, with its seal."""
    write_sealed_json(directory / CERTIFICATE_FILE, certificate)


def read_certificate(directory: Path) -> Certificate:
    """The certificate in a directory.

    Raises:
        UserError: it is absent, of another format, or not byte for byte as it was written.
    """
    return read_sealed_json(directory / CERTIFICATE_FILE, Certificate)
