"""Codebooks: the levels of a quantiser and the bits that describe them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["free", "symmetric", "uniform"]
KINDS: tuple[Kind, ...] = ("free", "symmetric", "uniform")
MAX_LEVELS = 65535
PARAMETER_BITS: dict[Kind, int] = {"free": 16, "symmetric": 16, "uniform": 7}
"""Bits per parameter: half precision, or (uniform) its upper byte without the sign: 5 exponent, 2 mantissa bits."""
FINITE_STEPS = 0x7C
"""Uniform parameters below this one are finite steps, from 0 to 57344."""


def parameter_count(kind: Kind, levels: int) -> int:
    """Free: one centroid per level. Symmetric: the positive centroids (zero is implied if odd). Uniform: the step."""
    return {"free": levels, "symmetric": levels // 2, "uniform": 1}[kind]


@dataclass(frozen=True)
class Codebook:
    """`levels` centroids, described by `parameters`: the bit patterns that are written.

    Raises ValueError unless the parameters have the right number and width and give finite ascending centroids.
    """

    kind: Kind
    levels: int
    parameters: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not 1 <= self.levels <= MAX_LEVELS:
            expected_text = f"one of {KINDS} and 1 to {MAX_LEVELS} levels"
            raise ValueError(f"codebook: expected {expected_text}, got {self.kind!r} and {self.levels!r}")
        expected, width = parameter_count(self.kind, self.levels), PARAMETER_BITS[self.kind]
        if len(self.parameters) != expected or not all(0 <= p < 1 << width for p in self.parameters):
            raise ValueError(
                f"codebook: {self.kind} with {self.levels} levels has {expected} parameters of {width} bits"
            )
        if not np.isfinite(self.centroids).all() or (np.diff(self.centroids) < 0).any():
            raise ValueError("codebook: centroids must be finite and ascending")

    @property
    def bits(self) -> int:
        """Length of the description in bits, without its kind."""
        return len(self.parameters) * PARAMETER_BITS[self.kind]

    @property
    def centroids(self) -> NDArray[np.float32]:
        """Ascending centroids, shape (levels,), exactly what the decoder rebuilds."""
        patterns = np.array(self.parameters, dtype=np.uint16)
        if self.kind == "uniform":
            step = (patterns << 8).view(np.float16).astype(np.float32)[0]
            with np.errstate(invalid="ignore"):  # a step that is no number gives centroids that are refused
                return np.asarray((np.arange(self.levels, dtype=np.float32) - np.float32((self.levels - 1) / 2)) * step)
        values = patterns.view(np.float16).astype(np.float32)
        if self.kind == "free":
            return values
        return np.concatenate([-values[::-1], np.zeros(self.levels % 2, dtype=np.float32), values])


def half_patterns(values: NDArray[np.float64]) -> tuple[int, ...]:
    """Bit patterns of the values in half precision; ValueError where one does not fit (above 65504)."""
    if values.size and not np.abs(values).max() <= 65504.0:
        raise ValueError("codebook: a centroid does not fit half precision; expected magnitudes up to 65504")
    return tuple(int(pattern) for pattern in (values.astype(np.float16) + np.float16(0)).view(np.uint16))


def nearest_level(values: NDArray[np.floating], codebook: Codebook) -> NDArray[np.int32]:
    """Index of the nearest centroid for every value, shape preserved; a tie goes to the lower one."""
    centroids = codebook.centroids.astype(np.float64)
    return np.searchsorted(0.5 * (centroids[1:] + centroids[:-1]), values, side="left").astype(np.int32)
