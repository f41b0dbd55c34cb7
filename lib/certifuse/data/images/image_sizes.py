"""Training images that are smaller at first (progressive resizing: Howard 2018; Tan and Le 2021, arXiv 2104.00298).

Shapes: N images, C channels, H height, W width.
"""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from certifuse.study.settings.recipe import ImageSize


def pixels_at(sizes: Sequence[ImageSize], done: float) -> int | None:
    """The height of images after `done` (0 to 1) of a training; None where they have their full size."""
    return next((pixels for until, pixels in sizes if done < until), None)


def scaled_down(images_NCHW: Tensor, pixels: int | None) -> Tensor:
    """Images scaled to a height, the width in proportion; as they are where they are no higher than that.

    Bilinear with a filter as wide as the scale, so that fine patterns average out instead of folding into coarse ones.
    """
    height, width = images_NCHW.shape[2:]
    if pixels is None or pixels >= height:
        return images_NCHW
    size = (pixels, max(1, round(width * pixels / height)))
    return functional.interpolate(images_NCHW, size, mode="bilinear", antialias=True)
