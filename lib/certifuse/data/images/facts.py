"""What a network has to know of the images that it was trained on, to be asked about others."""

from typing import Annotated

from pydantic import Field

from certifuse.base.records import Count, Positive, Settings
from certifuse.data.images.image_set import ImageSet
from certifuse.data.images.splits import Splits


class ImageFacts(Settings):
    """Shape and classes of images, and how they are normalised: (pixels / 255 - mean) / std, by channel."""

    shape: Annotated[tuple[Count, ...], Field(min_length=3, max_length=3)] = Field(description="C, H and W.")
    mean: tuple[float, ...] = Field(description="Of each channel over the pool, with pixels in [0, 1].")
    std: tuple[Positive, ...] = Field(description="Likewise.")
    num_classes: Count = Field(description="K.")
    class_names: tuple[str, ...] = Field(description="In the order of the labels; empty where they have no names.")


def facts_of(images: ImageSet, splits: Splits) -> ImageFacts:
    """Those of an image set that is divided by these splits."""
    return ImageFacts(
        shape=tuple(images.train_images.shape[1:]),
        mean=splits.mean,
        std=splits.std,
        num_classes=images.num_classes,
        class_names=images.class_names,
    )
