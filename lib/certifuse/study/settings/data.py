"""Images: their sources, and how they are divided."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from certifuse.base.records import FilePath, Fraction, Index, MisfitError, OpenFraction, Settings


class ImageData(Settings):
    """Settings that every source of images has."""

    source: str = Field(description="The kind of source.")


class DigitsData(ImageData):
    """scikit-learn's 1,797 handwritten digits (8 x 8, 10 classes), embedded in that package."""

    source: Literal["digits"] = Field(description="The kind of source.")
    test_fraction: OpenFraction = Field(default=0.3, description="Share of the images kept as test set, stratified.")
    seed: Index = Field(default=0, description="Seed of the draw of the test set.")


class CifarData(ImageData):
    """CIFAR-10 or CIFAR-100 by torchvision, with the official split."""

    source: Literal["cifar10", "cifar100"] = Field(description="The kind of source.")
    root: FilePath = Field(default="data", description="Directory that holds the extracted official archive.")
    download: bool = Field(default=False, description="Fetch the archive when it is absent. The only network access.")


class NpzData(ImageData):
    """Any images: uint8 arrays `train_images` (N, H, W, C), `train_labels` (N,), `test_images`, `test_labels`."""

    source: Literal["npz"] = Field(description="The kind of source.")
    path: FilePath = Field(description="The .npz file, relative to the working directory or absolute.")


DataSettings = Annotated[DigitsData | CifarData | NpzData, Field(discriminator="source")]


def image_source(source: str) -> str:
    """The module that reads a source of images: CIFAR-10 and CIFAR-100 share one."""
    return "cifar" if source.startswith("cifar") else source


class SplitSettings(Settings):
    """Expert pool and fusion holdout; the experts' shares of the pool; what the holdout keeps aside; what is a copy."""

    seed: Index = Field(default=42, description="Seed of every draw.")
    experts: int = Field(default=4, ge=1, le=1000, description="Number of experts E.")
    scheme: Literal["iid", "disjoint", "by_class"] = Field(
        default="iid",
        description="`iid`: each expert sees the shared part of the pool plus its own unique part; "
        "`disjoint`: 1/E of the pool each; `by_class`: 1/E of the classes each.",
    )
    shared_fraction: Fraction = Field(default=0.4, description="`iid`: part of the pool that all experts see.")
    unique_fraction: Fraction = Field(default=0.15, description="`iid`: part of the pool that one expert alone sees.")
    fusion_fraction: OpenFraction = Field(default=0.2, description="Share of the training images held out for fusion.")
    validation_fraction: OpenFraction = Field(
        default=0.1, description="Share of the holdout for selection, early stopping and temperature."
    )
    certificate_fraction: Fraction = Field(
        default=0.0, description="Share of the holdout that nothing is trained or selected on."
    )
    duplicate_correlation: Annotated[float, Field(gt=0, le=1)] = Field(
        default=1.0,
        description="Training images whose pixels correlate at least so with those of an earlier one are left out, "
        "before the shares are taken; at 1 only images of equal bytes. For certificates 0.98 or lower; below 0.9 slow.",
    )

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.scheme == "iid" and self.shared_fraction + self.experts * self.unique_fraction > 1 + 1e-9:
            total = self.shared_fraction + self.experts * self.unique_fraction
            expected = "expected shared_fraction + experts x unique_fraction of at most 1 for scheme iid"
            raise MisfitError("shared_fraction", f"{expected}, found {total:g}: lower one of them")
        if self.scheme == "iid" and self.shared_fraction + self.unique_fraction == 0:
            expected = "expected shared_fraction or unique_fraction above 0 for scheme iid"
            raise MisfitError("shared_fraction", f"{expected}, found both 0: the experts would see no image")
        if self.validation_fraction + self.certificate_fraction >= 1:
            total = self.validation_fraction + self.certificate_fraction
            expected = "expected validation_fraction + certificate_fraction below 1"
            raise MisfitError("validation_fraction", f"{expected}, found {total:g}: nothing is left to train fusion on")
        return self
