"""Optimal one-dimensional k-means by dynamic programming: no initialisation, no local optimum."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class _Sums:
    """Squared error of any run of sorted values around its mean (or around zero), from prefix sums."""

    def __init__(self, values: Floats, weights: Floats) -> None:
        self.shift = float(values @ weights / weights.sum())
        centred = values - self.shift
        self.weight, self.first, self.second = (
            np.concatenate([[0.0], np.cumsum(weights * centred**power)]) for power in (0, 1, 2)
        )

    def around_mean(self, start: Ints, stop: Ints) -> Floats:
        weight, first = self.weight[stop] - self.weight[start], self.first[stop] - self.first[start]
        spread = self.second[stop] - self.second[start] - first**2 / np.maximum(weight, 1e-300)
        return np.asarray(np.maximum(spread, 0.0))

    def around_zero(self, start: Ints, stop: Ints) -> Floats:
        weight, first = self.weight[stop] - self.weight[start], self.first[stop] - self.first[start]
        return np.asarray(self.second[stop] - self.second[start] + 2.0 * self.shift * first + self.shift**2 * weight)


def _next_layer(previous: Floats, sums: _Sums) -> tuple[Floats, Ints]:
    """cost[i] = min over j <= i of previous[j] + error of values j..i-1, and the j that attains it.

    The best j never falls as i grows, so the middle of every open range of i halves the search of its two sides;
    all ranges of one depth are searched together: O(n log n) in vectorised steps.
    """
    size = len(previous)
    cost, best = np.empty(size), np.empty(size, dtype=np.int64)
    starts, stops = np.array([0]), np.array([size])
    lows, highs = np.array([0]), np.array([size - 1])
    while starts.size:
        middles = (starts + stops) // 2
        lengths = np.minimum(highs, middles) - lows + 1
        offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        j = np.arange(lengths.sum()) - np.repeat(offsets - lows, lengths)
        candidates = previous[j] + sums.around_mean(j, np.repeat(middles, lengths))
        cost[middles] = np.minimum.reduceat(candidates, offsets)
        attained = np.flatnonzero(candidates == np.repeat(cost[middles], lengths))
        best[middles] = j[attained[np.searchsorted(attained, offsets)]]
        starts, stops = np.concatenate([starts, middles + 1]), np.concatenate([middles, stops])
        lows, highs = np.concatenate([lows, best[middles]]), np.concatenate([best[middles], highs])
        open_ranges = starts < stops
        starts, stops, lows, highs = (edge[open_ranges] for edge in (starts, stops, lows, highs))
    return cost, best


def kmeans_1d(values: NDArray[np.floating], clusters: int, *, first_at_zero: bool = False) -> Floats:
    """Ascending centroids, shape (clusters,), that minimise the sum of squared distances to the nearest centroid.

    With fewer distinct values than clusters the last centroid repeats. `first_at_zero` pins the first centroid
    to zero (for magnitudes: values must be >= 0). Dynamic programming over the sorted values with the divide and
    conquer of a monotone argmin (Wu 1991; Gronlund et al. 2017, arXiv 1701.07204): O(clusters n log n) time and
    O(clusters n) memory.
    """
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    if distinct.size == 0:
        return np.zeros(clusters)
    sums = _Sums(distinct, counts.astype(np.float64))
    ends = np.arange(distinct.size + 1)
    cost = sums.around_zero(ends * 0, ends) if first_at_zero else sums.around_mean(ends * 0, ends)
    layers: list[Ints] = []
    for _ in range(clusters - 1):
        cost, best = _next_layer(cost, sums)
        layers.append(best)
    centroids, stop = np.empty(clusters), distinct.size
    for cluster in range(clusters - 1, -1, -1):
        start = int(layers[cluster - 1][stop]) if cluster else 0
        weight = sums.weight[stop] - sums.weight[start]
        centroids[cluster] = sums.shift + (sums.first[stop] - sums.first[start]) / weight if weight else np.nan
        stop = start
    if first_at_zero:
        centroids[0] = 0.0
    present = centroids[~np.isnan(centroids)]
    return np.sort(np.concatenate([present, np.full(clusters - present.size, present[-1])]))
