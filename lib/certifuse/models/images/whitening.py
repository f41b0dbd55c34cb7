"""Whitening of small patches of images: filters whose outputs are uncorrelated and of variance one.

Shapes: N images, C channels, H height, W width, P = size * size * C numbers in a patch.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

IMAGES_AT_ONCE = 256
FLOOR = 5e-4
"""Added to every variance before the division, as in arXiv 2404.00498: a direction in which patches do not vary (equal
channels, constant images) stays small instead of becoming noise of variance one."""


def whitening_filters(pixels_NCHW: Tensor, mean_C: Sequence[float], std_C: Sequence[float], size: int = 2) -> Tensor:
    """Filters (P, C, size, size), float32, for images that are normalised by `mean_C` and `std_C`.

    Row i is v_i / sqrt(l_i + FLOOR), with l_i falling and v_i the eigenvalues and eigenvectors of the covariance of all
    patches (Page 2018, "How to train your ResNet 8"; Jordan 2024, arXiv 2404.00498). The largest entry of a filter is
    positive, since eigenvectors have no sign of their own.

    Args:
        pixels_NCHW: uint8 images, in any order: sums over them are exact.
        mean_C: the mean that is taken from the pixels / 255.
        std_C: what they are divided by.
        size: height and width of a patch.
    """
    channels = pixels_NCHW.shape[1]
    scale_P = (1 / (255 * torch.tensor(std_C, dtype=torch.float64))).repeat_interleave(size * size)
    covariance_PP = scale_P[:, None] * patch_covariance(pixels_NCHW, size) * scale_P
    variances_P, directions_PP = torch.linalg.eigh(covariance_PP)
    filters_PP = directions_PP.T.flip(0) / (variances_P.flip(0)[:, None] + FLOOR).sqrt()
    largest_P1 = filters_PP.gather(1, filters_PP.abs().argmax(1, keepdim=True))
    filters: Tensor = (filters_PP * largest_P1.sign()).reshape(-1, channels, size, size).float()
    return filters


def patch_covariance(pixels_NCHW: Tensor, size: int) -> Tensor:
    """The covariance (P, P), float64, of all patches of uint8 images; a patch is ordered as (C, size, size).

    Sums of products of pixels are whole numbers, which float64 holds exactly below 2^53 (more than a hundred million
    images of 32 x 32), so the result depends on no order, no threads and no device.
    """
    height, width = pixels_NCHW.shape[2] - size + 1, pixels_NCHW.shape[3] - size + 1
    count, numbers = len(pixels_NCHW) * height * width, pixels_NCHW.shape[1] * size * size
    products_PP = torch.zeros(numbers, numbers, dtype=torch.float64)
    sums_P = torch.zeros(numbers, dtype=torch.float64)
    for pixels in torch.split(pixels_NCHW, IMAGES_AT_ONCE):
        shifted = [
            pixels[:, :, row : row + height, column : column + width] for row in range(size) for column in range(size)
        ]
        patches_PM = torch.stack(shifted).permute(2, 0, 1, 3, 4).flatten(2).flatten(0, 1).double()
        products_PP += patches_PM @ patches_PM.T
        sums_P += patches_PM.sum(1)
    mean_P = sums_P / count
    return products_PP / count - mean_P[:, None] * mean_P
