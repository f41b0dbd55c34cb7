"""Certificates to make, and the training of a fused network in a subspace."""

from collections.abc import Iterator
from itertools import product, starmap
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from certifuse.base.records import Count, Levels, NonNegative, OpenFraction, Positive, Settings, distinct
from certifuse.study.cells import SubspaceCell
from certifuse.study.settings.augmentation import AUGMENTATIONS, Augmentation
from certifuse.study.settings.grid import Block


class CertificateBlock(Block):
    """A full product of its lists."""

    dims: Annotated[tuple[Count, ...], Field(min_length=1), AfterValidator(distinct)] = Field(
        description="Dimensions d of the subspace: the numbers that are trained."
    )

    def subspace_cells(self) -> Iterator[SubspaceCell]:
        """Every training of the block."""
        return starmap(SubspaceCell, product(self.architectures, self.fusions, self.lambdas, self.seeds, self.dims))


class SubspaceTraining(Settings):
    """Training of w in theta = theta0 + P w on the fusion images, with the dual-path loss of the cell."""

    parameters: Literal["everything", "fusion_and_head"] = Field(
        default="everything", description="What P moves: experts too, or the fusion module and the global head only."
    )
    projector: Literal["dense", "kronecker", "sparse"] = Field(
        default="kronecker", description="The random projector P."
    )
    projector_seed: int = Field(default=0, ge=0, description="Seed of P, fixed before any training.")
    epochs: Count = Field(default=20, description="Passes over the fusion images at full precision.")
    quantised_epochs: Count = Field(default=5, description="Further passes with w quantised, per number of levels.")
    batch_size: Count = Field(default=128, description="Images per step.")
    lr: Positive = Field(default=0.02, description="Base rate of w (AdamW, cosine).")
    quantised_lr: Positive = Field(default=0.005, description="Base rate of w while it is quantised.")
    weight_decay: NonNegative = Field(default=0.0, description="Weight decay of w: smaller symbols are cheaper.")
    clip_norm: Positive | None = Field(default=1.0, description="Gradient norm limit.")
    codebook: Literal["free", "symmetric", "uniform"] = Field(
        default="uniform",
        description="Free centroids (k-means), +-c in pairs, or equal steps around zero, which cost the fewest bits.",
    )
    augmentation: Augmentation = Field(
        default=AUGMENTATIONS["none"],
        description="Name of a recipe, or its keys. The certified risk is never augmented.",
    )


class CertificateSettings(Settings):
    """Generalisation certificates of the fused networks."""

    delta: OpenFraction = Field(default=0.05, description="Probability with which a bound may fail.")
    blocks: tuple[CertificateBlock, ...] = Field(
        default=(), description="The trainings to certify: a list of blocks. Their cells in the grid get a line too."
    )
    levels: Annotated[tuple[Levels, ...], Field(min_length=1), AfterValidator(distinct)] = Field(
        default=(3, 7), description="Levels L that w is quantised to; each gives a certificate of its own."
    )
    training: SubspaceTraining = Field(default=SubspaceTraining(), description="Training in the subspace.")
    joint_levels: Levels = Field(
        default=17, description="Levels that all weights of a jointly trained model are quantised to."
    )
