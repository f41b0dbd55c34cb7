"""Bounds as decimals for the reader: an upper bound is rounded up and a lower one down, or it would not hold."""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal


def upper(value: float, digits: int, scale: int = 1) -> str:
    """The smallest decimal with `digits` after the point that is not below `scale` times an upper bound.

    The bound is taken as the shortest decimal that stands for it, which is what CSV and JSON files hold: 77.6 with one
    digit is 77.6, and 77.5999 is too. A scale of 100 gives a percentage without a rounding on the way.
    """
    return _rounded(value, digits, scale, ROUND_CEILING)


def lower(value: float, digits: int, scale: int = 1) -> str:
    """The largest such decimal that is not above `scale` times a lower bound."""
    return _rounded(value, digits, scale, ROUND_FLOOR)


def _rounded(value: float, digits: int, scale: int, direction: str) -> str:
    number = float(value)
    if not math.isfinite(number):
        return str(number)
    return f"{(Decimal(repr(number)) * scale).quantize(Decimal(1).scaleb(-digits), direction):f}"
