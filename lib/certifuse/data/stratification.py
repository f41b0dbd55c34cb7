"""Draws that give every class its share. Shape suffixes: N images, K classes."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def apportion(size: int, counts_K: Indices, generator: np.random.Generator) -> Indices:
    """Divide `size` over the classes in proportion to `counts_K`, by largest remainder (Hamilton).

    Exact in integers: the parts (K,) sum to `size`, each is within one of its exact share and none exceeds
    its class. Equal remainders are settled by `generator`, so that no class is favoured by its number.
    """
    total = int(counts_K.sum())
    if not 0 <= size <= total:
        raise ValueError(f"size must lie in 0..{total}, found {size}")
    shares_K, remainders_K = np.divmod(size * counts_K, max(total, 1))
    favoured_K = np.lexsort((generator.random(len(counts_K)), -remainders_K))
    shares_K[favoured_K[: size - int(shares_K.sum())]] += 1
    return shares_K


def stratified_draw(
    indices_N: Indices, labels_N: Indices, size: int, generator: np.random.Generator
) -> tuple[Indices, Indices]:
    """Draw `size` of `indices_N` without replacement, each class in proportion; returns (drawn, rest), sorted.

    `labels_N` are the classes of these indices, in the same order. Inside a class the draw is uniform.
    """
    shuffled_N = generator.permutation(len(indices_N))
    by_class_N = shuffled_N[np.argsort(labels_N[shuffled_N], kind="stable")]
    counts_K = np.bincount(labels_N)
    rank_N = np.arange(len(indices_N)) - np.repeat(np.cumsum(counts_K) - counts_K, counts_K)
    taken_N = rank_N < np.repeat(apportion(size, counts_K, generator), counts_K)
    return np.sort(indices_N[by_class_N[taken_N]]), np.sort(indices_N[by_class_N[~taken_N]])
