"""Augmentation of a training batch, on its device, without a loop over images.

Shape suffixes: N images, C channels, H x W pixels, K classes. Images are normalised, so zero is the mean colour: it
fills the crop's padding and the erased rectangles. All functions return new tensors in the memory format they got.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from certifuse.base.randomness import numpy_stream
from certifuse.study.settings.augmentation import AugmentationSettings

ERASED_AREA = (0.02, 0.4)
"""Smallest and largest part of an image that is erased: s_l and s_h of arXiv 1708.04896."""

ERASED_ASPECT = (0.3, 1 / 0.3)
"""Smallest and largest height / width of an erased rectangle: r_1 and r_2 of that paper."""

Box = tuple[int, int, int, int]
"""Rows top to bottom and columns left to right, as (top, bottom, left, right); bottom and right are outside."""


def augment(
    images_NCHW: Tensor,
    labels_N: Tensor,
    settings: AugmentationSettings,
    num_classes: int,
    device_generator: torch.Generator,
    host_generator: np.random.Generator,
    flipped_N: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Crop, flip, erase, then mix; returns (images (N, C, H, W), target probabilities (N, K) float32).

    Which images are flipped is drawn here, unless `flipped_N` says so (see `AlternatingFlips`).

    Numbers per image come from `device_generator`, on the device of the images. The few numbers per batch (whether and
    how to mix) come from `host_generator`, because they steer Python: read off a GPU, they would stall it every step.

    Mixing pairs each image with its predecessor in the batch, which is a uniformly random partner because batches are
    drawn in random order (see `epoch_batches`).
    """
    count, device = len(images_NCHW), images_NCHW.device
    if settings.crop_padding:
        extent = 2 * settings.crop_padding + 1
        offsets_2N = torch.randint(extent, (2, count), generator=device_generator, device=device)
        images_NCHW = crop(images_NCHW, offsets_2N, settings.crop_padding)
    if settings.flip:
        if flipped_N is None:
            flipped_N = torch.rand(count, generator=device_generator, device=device) < 0.5
        images_NCHW = flip(images_NCHW, flipped_N)
    if settings.erasing_probability:
        uniform_5N = torch.rand(5, count, generator=device_generator, device=device)
        boxes_4N = erasing_boxes(uniform_5N[:4], *images_NCHW.shape[2:])
        images_NCHW = erase(images_NCHW, boxes_4N, uniform_5N[4] < settings.erasing_probability)

    targets_NK = functional.one_hot(labels_N, num_classes).to(torch.float32)
    return _mix(images_NCHW, targets_NK, settings, host_generator)


def _mix(
    images_NCHW: Tensor, targets_NK: Tensor, settings: AugmentationSettings, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    alphas = {"mixup": settings.mixup_alpha, "cutmix": settings.cutmix_alpha}
    kinds = [kind for kind, alpha in alphas.items() if alpha]
    if not kinds or generator.random() >= settings.mix_probability:
        return images_NCHW, targets_NK
    height, width = images_NCHW.shape[2:]
    kind = kinds[generator.integers(len(kinds))]
    weight = generator.beta(alphas[kind], alphas[kind])
    if kind == "mixup":
        return mixup(images_NCHW, targets_NK, weight)
    return cutmix(images_NCHW, targets_NK, cutmix_box(weight, height, width, generator))


def crop(images_NCHW: Tensor, offsets_2N: Tensor, padding: int) -> Tensor:
    """Pad by `padding` zeros on all sides and cut an H x W window at row and column `offsets_2N`, in 0..2*padding."""
    height, width = images_NCHW.shape[2:]
    windows = functional.pad(images_NCHW, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    image_N = torch.arange(len(images_NCHW), device=images_NCHW.device)
    return windows[image_N, :, offsets_2N[0], offsets_2N[1]]


def flip(images_NCHW: Tensor, chosen_N: Tensor) -> Tensor:
    """Mirror the chosen images left to right."""
    return torch.where(chosen_N[:, None, None, None], images_NCHW.flip(3), images_NCHW)


class AlternatingFlips:
    """Flips that are drawn once for each image and then alternate, so that any two epochs show both of its sides.

    Independent draws show half of the images the same way twice in a row (Jordan 2024, arXiv 2404.00498). The choice is
    a function of (seed, epoch, image) alone.

    Args:
        seed: of the draw.
        images: how many there are.
        device: where they are.
    """

    def __init__(self, seed: int, images: int, device: torch.device) -> None:
        drawn = numpy_stream(seed, "flips").integers(2, size=images, dtype=np.uint8)
        self._first = torch.from_numpy(drawn).to(device)

    def at(self, epoch: int, indices_N: Tensor) -> Tensor:
        """Whether each of the images with these indices is flipped in an epoch, (N,)."""
        return self._first[indices_N] != epoch % 2


def erasing_boxes(uniform_4N: Tensor, height: int, width: int) -> Tensor:
    """Rectangles (4, N), as in `Box`, from uniform numbers (4, N) for area, aspect, row and column.

    Random erasing (arXiv 1708.04896, algorithm 1) with two changes: a rectangle that does not fit is clipped and not
    drawn again, and the aspect is uniform in its logarithm, so that upright and flat rectangles are as likely.
    """
    smallest, largest = ERASED_AREA
    area_N = (smallest + (largest - smallest) * uniform_4N[0]) * (height * width)
    low, high = (math.log(aspect) for aspect in ERASED_ASPECT)
    aspect_N = torch.exp(low + (high - low) * uniform_4N[1])
    rows_N = (area_N * aspect_N).sqrt().round().clamp(1, height)
    columns_N = (area_N / aspect_N).sqrt().round().clamp(1, width)
    top_N = (uniform_4N[2] * (height - rows_N + 1)).floor()
    left_N = (uniform_4N[3] * (width - columns_N + 1)).floor()
    return torch.stack([top_N, top_N + rows_N, left_N, left_N + columns_N])


def erase(images_NCHW: Tensor, boxes_4N: Tensor, chosen_N: Tensor) -> Tensor:
    """Set a rectangle of each chosen image to zero."""
    row_H, column_W = (torch.arange(size, device=images_NCHW.device) for size in images_NCHW.shape[2:])
    top_N1, bottom_N1, left_N1, right_N1 = boxes_4N[:, :, None]
    inside_NH = (row_H >= top_N1) & (row_H < bottom_N1) & chosen_N[:, None]
    inside_NW = (column_W >= left_N1) & (column_W < right_N1)
    inside_N1HW = (inside_NH[:, :, None] & inside_NW[:, None, :])[:, None]
    # A zero made on the device: a Python 0 would be copied there, and masked_fill loses channels_last.
    return torch.where(inside_N1HW, images_NCHW.new_zeros(()), images_NCHW)


def mixup(images_NCHW: Tensor, targets_NK: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """`weight` x + (1 - weight) x', with x' the predecessor, for images and targets (arXiv 1710.09412)."""
    images_NCHW = images_NCHW * weight + images_NCHW.roll(1, 0) * (1 - weight)
    return images_NCHW, targets_NK * weight + targets_NK.roll(1, 0) * (1 - weight)


def cutmix_box(weight: float, height: int, width: int, generator: np.random.Generator) -> Box:
    """A box of area (1 - weight) H W around a uniform centre, clipped to the image (arXiv 1905.04899, equation 2)."""
    side = math.sqrt(1 - weight)
    rows, columns = int(height * side), int(width * side)
    top, left = int(generator.integers(height)) - rows // 2, int(generator.integers(width)) - columns // 2
    return max(top, 0), min(top + rows, height), max(left, 0), min(left + columns, width)


def cutmix(images_NCHW: Tensor, targets_NK: Tensor, box: Box) -> tuple[Tensor, Tensor]:
    """Paste the predecessor's `box`; the targets are mixed by the area that it really covers (arXiv 1905.04899)."""
    top, bottom, left, right = box
    mixed_NCHW = images_NCHW.clone()
    mixed_NCHW[:, :, top:bottom, left:right] = images_NCHW[:, :, top:bottom, left:right].roll(1, 0)
    pasted = (bottom - top) * (right - left) / (images_NCHW.shape[2] * images_NCHW.shape[3])
    return mixed_NCHW, targets_NK * (1 - pasted) + targets_NK.roll(1, 0) * pasted
