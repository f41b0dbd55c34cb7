"""The expert architectures and their sizes; the networks are in `certifuse.models.images.architectures`."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from certifuse.base.records import MisfitError, OpenFraction, Probability, Settings, free_names

Blocks = Annotated[tuple[Annotated[int, Field(ge=1, le=256)], ...], Field(min_length=1, max_length=8)]
"""Per stage. More of them, or wider ones, than anybody trains are a mistake, and would be built for hours."""
Size = Annotated[int, Field(ge=1, le=1 << 14)]


class ResNetSettings(Settings):
    """Residual network of basic blocks (He et al. 2016, arXiv 1512.03385) with a CIFAR stem."""

    width: Size = Field(default=64, description="Channels of the first stage; they double with each stage.")
    blocks: Blocks = Field(default=(2, 2, 2, 2), description="Basic blocks per stage; the defaults make ResNet-18.")


class DenseNetSettings(Settings):
    """DenseNet-BC (Huang et al. 2017, arXiv 1608.06993) with a CIFAR stem."""

    growth: Size = Field(default=32, description="Channels that each layer adds.")
    blocks: Blocks = Field(default=(6, 12, 24, 16), description="Layers per stage; the defaults make DenseNet-121.")
    bottleneck: Size = Field(default=4, description="Width of the 1 x 1 convolution, in units of growth.")
    compression: OpenFraction = Field(default=0.5, description="Share of the channels that a transition keeps.")
    dropout: Probability = Field(default=0.2, description="Dropout after each layer.")


class ImprovedWideResNetSettings(Settings):
    """Pre-activation wide residual network (Zagoruyko and Komodakis 2016, arXiv 1605.07146)."""

    depth: Annotated[int, Field(ge=1, le=1540)] = Field(
        default=28, description="6 n + 4 for n blocks in each of the three stages."
    )
    widen_factor: Size = Field(default=10, description="Channels are 16, 32 and 64 times this.")
    dropout: Probability = Field(default=0.3, description="Dropout between the two convolutions of a block.")

    @model_validator(mode="after")
    def _whole_blocks(self) -> Self:
        if self.depth < 10 or (self.depth - 4) % 6:
            raise MisfitError("depth", f"expected 6 n + 4 with n >= 1 (10, 16, 22, 28, ...), found {self.depth}")
        return self


class ResNeXtSettings(Settings):
    """Pre-activation ResNeXt (Xie et al. 2017, arXiv 1611.05431; He et al. 2016, arXiv 1603.05027)."""

    blocks: Blocks = Field(default=(3, 3, 3), description="Bottleneck blocks per stage; the defaults make ResNeXt-29.")
    cardinality: Size = Field(default=8, description="Groups of the 3 x 3 convolution.")
    base_width: Size = Field(default=64, description="Channels of one group in the first stage; doubles with each.")
    width: Size = Field(default=64, description="Stage width before expansion; doubles with each stage.")
    expansion: Size = Field(default=4, description="Output channels of a stage, in units of its width.")
    dropout: Probability = Field(default=0.3, description="Dropout inside each block.")


class SpeedNetSettings(Settings):
    """The network of the CIFAR speed records (Jordan 2024, arXiv 2404.00498), on whitened patches of the pool."""

    widths: Annotated[tuple[Size, ...], Field(min_length=1, max_length=8)] = Field(
        default=(64, 256, 512), description="Channels of each group; the defaults make 7.3 M parameters."
    )
    kernels: Annotated[tuple[Annotated[int, Field(ge=1, le=31)], ...], Field(min_length=1, max_length=8)] = Field(
        default=(1, 3, 3), description="Size of the convolutions of each group, odd; 1 is cheap where maps are large."
    )

    @model_validator(mode="after")
    def _one_odd_kernel_per_group(self) -> Self:
        even = [size for size in self.kernels if size % 2 == 0]
        if even or len(self.kernels) != len(self.widths):
            expected = f"expected {len(self.widths)} odd sizes, one for each of widths"
            raise MisfitError("kernels", f"{expected}, found {', '.join(map(str, self.kernels))}")
        return self


ARCHITECTURE_SETTINGS: dict[str, type[Settings]] = {
    "resnet": ResNetSettings,
    "densenet": DenseNetSettings,
    "improved_wide_resnet": ImprovedWideResNetSettings,
    "resnext": ResNeXtSettings,
    "speednet": SpeedNetSettings,
}

ArchitectureName: Any = Literal[free_names("architecture", ARCHITECTURE_SETTINGS)]
"""The name of an architecture; anything else is refused when settings are read."""
