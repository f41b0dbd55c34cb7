"""Search for images that are copies, or nearly copies, of earlier ones.

Shape suffixes: N images, B a block of them, P pairs.

The correlation of two images is that of their pixel values over all channels and positions (Pearson): a copy that is
only brighter has 1. It is computed in float64; a float32 pre-filter only says for which pairs. The pre-filter is the
scalar product of short vectors that is never below the correlation. With u and v centred and of length 1, P the mean
over patches (an orthogonal projection) and Q = 1 - P, by Cauchy and Schwarz

    u.v = Pu.Pv + Qu.Qv <= Pu.Pv + |Qu| |Qv|,    a product of the vectors (Pu, |Qu|) and (Pv, |Qv|).
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn import functional

BLOCK = 500
PATCH = 4
ROUNDING = 1e-4
"""More than float32 can take away from the bound."""

Indices = NDArray[np.int64]


def duplicates(images_NCHW: Tensor, correlation: float) -> Indices:
    """The ascending int64 indices of all uint8 images that repeat an earlier one.

    Two images are linked if their bytes are equal or, for a `correlation` below 1, if theirs is at least that. Of each
    connected group the image with the lowest index is kept. An image of a single value correlates with none.
    """
    images_NCHW = images_NCHW.contiguous()
    pairs = [_equal_pairs(images_NCHW)]
    if correlation < 1:
        pairs.extend(_near_pairs(images_NCHW, correlation))
    first_P, second_P = np.concatenate(pairs, axis=1)
    number = len(images_NCHW)
    links = coo_array((np.ones(len(first_P), dtype=bool), (first_P, second_P)), shape=(number, number))
    _, group_N = connected_components(links, directed=False)
    _, kept = np.unique(group_N, return_index=True)
    return np.setdiff1d(np.arange(number), kept)


def correlations(first_PCHW: Tensor, second_PCHW: Tensor) -> Tensor:
    """Pearson correlation, float64 (P,), of uint8 images pair by pair; 0 where one has a single value.

    All sums are of integers below 2^53, so that they are exact up to 370,000 values an image.
    """
    first, second = (images.flatten(1).double() for images in (first_PCHW, second_PCHW))
    covariance, of_first, of_second = (
        a.shape[1] * (a * b).sum(1) - a.sum(1) * b.sum(1)
        for a, b in ((first, second), (first, first), (second, second))
    )
    scale = (of_first * of_second).sqrt()
    return torch.where(scale > 0, covariance / scale, 0.0)


def _equal_pairs(images_NCHW: Tensor) -> Indices:
    """(2, P): each image whose bytes an earlier one has, after the first that has them."""
    first_with: dict[bytes, int] = {}
    digests = (hashlib.sha256(image.data).digest() for image in images_NCHW.numpy())
    firsts = [first_with.setdefault(digest, index) for index, digest in enumerate(digests)]
    pairs = [(first, index) for index, first in enumerate(firsts) if first != index]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2).T


def _near_pairs(images_NCHW: Tensor, correlation: float) -> Iterator[Indices]:
    """(2, P) per block: the pairs, earlier image first, with at least this correlation."""
    starts = range(0, len(images_NCHW), BLOCK)
    bounding = torch.cat([_bounding_vectors(images_NCHW[start : start + BLOCK]) for start in starts])
    for start in starts:
        later = bounding[start : start + BLOCK]
        bound = bounding[: start + len(later)] @ later.T
        candidates = (bound >= correlation - ROUNDING).nonzero()
        for of in range(0, len(candidates), BLOCK):
            first, second = (candidates[of : of + BLOCK] + torch.tensor([0, start])).unbind(1)
            first, second = first[first < second], second[first < second]
            near = correlations(images_NCHW[first], images_NCHW[second]) >= correlation
            yield torch.stack([first[near], second[near]]).numpy()


def _bounding_vectors(images_BCHW: Tensor) -> Tensor:
    """float32 (B, patches + 1): (Pu, |Qu|) of the module's docstring; zeros for an image of a single value."""
    values = images_BCHW.double()
    values -= values.mean((1, 2, 3), keepdim=True)
    length = values.square().sum((1, 2, 3)).sqrt()
    patch = (min(PATCH, values.shape[2]), min(PATCH, values.shape[3]))
    sums = functional.avg_pool2d(values, patch).flatten(1) * (patch[0] * patch[1]) ** 0.5
    rest = (length.square() - sums.square().sum(1)).clamp_min(0).sqrt()
    return (torch.cat([sums, rest[:, None]], 1) / length[:, None].clamp_min(1e-9)).float()
