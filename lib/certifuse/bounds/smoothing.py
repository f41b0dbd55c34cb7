"""Prediction smoothing, which bounds a language model's loss: p_alpha = (1 - alpha) p + alpha / vocabulary."""

import math
from typing import NamedTuple


class BpdRange(NamedTuple):
    """The interval [low, low + width] of a smoothed loss, in bits per dimension (per predicted token)."""

    low: float
    width: float


def bpd_range(alpha: float, vocabulary: int) -> BpdRange:
    """Interval of -log2 p_alpha: low = -log2(1 - alpha + alpha/V), width = log2(1 + (1 - alpha) V / alpha).

    Lotfi et al. 2024 (arXiv 2312.17173), Section 4.2. Raises ValueError for alpha outside (0, 1) or V < 2.
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha: expected a number strictly between 0 and 1, got {alpha!r}")
    if vocabulary < 2:
        raise ValueError(f"vocabulary: expected an integer >= 2, got {vocabulary!r}")
    return BpdRange(-math.log2(1.0 - alpha + alpha / vocabulary), math.log2(1.0 + (1.0 - alpha) * vocabulary / alpha))
