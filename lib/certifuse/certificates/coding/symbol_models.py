"""Distributions over quantiser levels, for the entropy coder.

Weights are built from whole numbers, halves and correctly rounded arithmetic only, so that the encoder's and the
decoder's are equal to the bit on any machine.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
PARAMETER_BITS = 4
HALF_OCTAVES = np.array([2.0 ** -(a // 2) * (np.sqrt(0.5) if a % 2 else 1.0) for a in range(1 << PARAMETER_BITS)])


class SymbolModel(Protocol):
    """A model as the codec needs it: `parameters` of 4 bits each in the message, and weights given the past."""

    parameters: tuple[int, ...]
    adaptive: bool

    def weights(self, seen: Counts) -> Floats:
        """Unnormalised probabilities, shape (L,), given how often each level was `seen`, shape (L,)."""


class Adaptive:
    """No side information: counts so far plus one half (Krichevsky and Trofimov 1981)."""

    adaptive = True
    parameters: tuple[int, ...] = ()

    def weights(self, seen: Counts) -> Floats:
        """Counts plus one half."""
        return seen.astype(np.float64) + 0.5


class Histogram:
    """An explicit histogram: for every level, how many half octaves it lies below the commonest (0 to 15)."""

    adaptive = False

    def __init__(self, parameters: tuple[int, ...]) -> None:
        self.parameters = parameters

    @classmethod
    def fit(cls, counts: Counts) -> "Histogram":
        """The nearest half octaves."""
        octaves = 2.0 * np.log2(counts.max() / np.maximum(counts, 1e-9))
        return cls(tuple(int(a) for a in np.clip(np.rint(octaves), 0, len(HALF_OCTAVES) - 1)))

    def weights(self, seen: Counts) -> Floats:
        """The histogram, whatever was seen."""
        return np.asarray(HALF_OCTAVES[list(self.parameters)])


class Peaked:
    """One number for all levels: weights fall by (k + 1) / 16 per level away from the middle one; k = 15 is flat."""

    adaptive = False

    def __init__(self, parameters: tuple[int, ...], levels: int) -> None:
        self.parameters = parameters
        distance = np.abs(2 * np.arange(levels) - (levels - 1)) // 2
        ratio = (parameters[0] + 1) / (1 << PARAMETER_BITS)
        self._weights: Floats = np.cumprod(np.r_[1.0, np.full(levels, ratio)])[distance] + 1e-9

    @classmethod
    def fit(cls, counts: Counts) -> "Peaked":
        """The ratio with the shortest code."""
        candidates = [cls((k,), len(counts)) for k in range(1 << PARAMETER_BITS)]
        return min(candidates, key=lambda model: static_bits(model, counts))

    def weights(self, seen: Counts) -> Floats:
        """The fixed weights, whatever was seen."""
        return self._weights


def static_bits(model: SymbolModel, counts: Counts) -> float:
    """Code length in bits of a message with these counts under a model that does not adapt."""
    weights = model.weights(counts)
    return float(counts @ (np.log2(weights.sum()) - np.log2(weights)))


def blocks(length: int) -> list[tuple[int, int]]:
    """Runs of symbols coded under one state of an adaptive model, each at most an eighth of what came before."""
    runs, start = [], 0
    while start < length:
        stop = min(length, start + max(1, start // 8))
        runs.append((start, stop))
        start = stop
    return runs


def adaptive_bits(symbols: NDArray[np.int32], levels: int) -> float:
    """Code length in bits of the symbols under `Adaptive`, updated after each of the `blocks`."""
    model, seen, bits = Adaptive(), np.zeros(levels, dtype=np.int64), 0.0
    for start, stop in blocks(len(symbols)):
        weights = model.weights(seen)
        counts = np.bincount(symbols[start:stop], minlength=levels)
        bits += float(counts @ (np.log2(weights.sum()) - np.log2(weights)))
        seen += counts
    return bits


def choose_model(symbols: NDArray[np.int32], levels: int) -> tuple[int, SymbolModel]:
    """Index in `restore_model` and model with the shortest message: side information and symbols together."""
    counts = np.bincount(symbols, minlength=levels)
    models: list[SymbolModel] = [Adaptive(), Histogram.fit(counts), Peaked.fit(counts)]
    lengths = [adaptive_bits(symbols, levels), *(static_bits(model, counts) for model in models[1:])]
    totals = [PARAMETER_BITS * len(model.parameters) + bits for model, bits in zip(models, lengths, strict=True)]
    best = int(np.argmin(totals))
    return best, models[best]


def model_parameters(index: int, levels: int) -> int:
    """Number of 4-bit parameters of the model with this index."""
    return (0, levels, 1)[index]


def restore_model(index: int, parameters: tuple[int, ...], levels: int) -> SymbolModel:
    """The model that was written."""
    if index == 0:
        return Adaptive()
    return Histogram(parameters) if index == 1 else Peaked(parameters, levels)
