"""Quantisation of a trained vector to a few levels, and training that knows about it."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certifuse.models.subspace.codebook import FINITE_STEPS, MAX_LEVELS, Codebook, Kind, half_patterns, nearest_level
from certifuse.models.subspace.kmeans import kmeans_1d
from certifuse.models.subspace.reparametrisation import SubspaceNetwork


def fit_codebook(values: NDArray[np.floating], levels: int, kind: Kind = "free") -> Codebook:
    """The codebook of `levels` centroids with the least squared error on `values` (any shape), then rounded.

    free: optimal one-dimensional k-means. symmetric: +-c for every centroid c (and zero if `levels` is odd), optimal
    among those, for half the bits. uniform: equal steps around zero, the best of all 7-bit steps, for 7 bits.
    Free and symmetric centroids are rounded to half precision, which is exact to 0.05 % for magnitudes from 6e-5 to
    65504 only: scale the vector where it is smaller. ValueError for levels outside 1 to 65535 or
    values that are not finite.
    """
    if not 1 <= levels <= MAX_LEVELS:
        raise ValueError(f"levels: expected 1 to {MAX_LEVELS}, got {levels!r}")
    flat = np.asarray(values, dtype=np.float64).ravel()
    if not np.isfinite(flat).all():
        raise ValueError("quantisation: expected finite values")
    if kind == "free":
        return Codebook(kind, levels, half_patterns(kmeans_1d(flat, levels)))
    if kind == "symmetric":
        odd = levels % 2
        magnitudes = kmeans_1d(np.abs(flat), levels // 2 + odd, first_at_zero=bool(odd)) if levels > 1 else np.zeros(1)
        return Codebook(kind, levels, half_patterns(magnitudes[odd:]))
    return _fit_uniform(flat, levels)


def _fit_uniform(flat: NDArray[np.float64], levels: int) -> Codebook:
    steps = [Codebook("uniform", levels, (pattern,)) for pattern in range(FINITE_STEPS)]
    errors = [float(((flat - quantise(flat, codebook)) ** 2).sum()) for codebook in steps]
    return steps[int(np.argmin(errors))]


def quantise(values: NDArray[np.floating], codebook: Codebook) -> NDArray[np.float32]:
    """Every value replaced by its nearest centroid; exactly what a decoder of the symbols returns."""
    return codebook.centroids[nearest_level(values, codebook)]


def straight_through(values: Tensor, centroids: Tensor) -> Tensor:
    """Nearest centroid forwards; backwards the identity for `values` and, for each centroid, the sum over its values.

    values: any shape; centroids: (L,), ascending (Bengio et al. 2013, arXiv 1308.3432; Lotfi et al. 2022, Section 4
    trains centroids and values together). A tie goes to the lower centroid, as in `nearest_level`.
    """
    exact = centroids.detach().double()
    nearest = centroids[torch.bucketize(values.detach().double(), 0.5 * (exact[1:] + exact[:-1]))]
    return nearest + (values - values.detach())


def quantise_network(network: SubspaceNetwork, levels: int | None, kind: Kind) -> Codebook | None:
    """Put the network at theta0 + P quantise(w), by the best codebook for w as it is now; at None, back to w itself.

    Gradients pass the quantisation as if it were not there. The codebook stays until this is called again.
    """
    if levels is None:
        network.quantise = None
        return None
    codebook = fit_codebook(as_numbers(network.w), levels, kind)
    centroids = torch.from_numpy(codebook.centroids).to(network.w.device)
    network.quantise = lambda w_d: straight_through(w_d, centroids)
    return codebook


def as_numbers(w_d: Tensor) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """w as float32 numbers on the host."""
    numbers: np.ndarray[Any, np.dtype[np.float32]] = w_d.detach().float().cpu().numpy()
    return numbers
