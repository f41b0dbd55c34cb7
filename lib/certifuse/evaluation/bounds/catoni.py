"""Catoni's bound with its union over a geometric grid: kept for comparison with published certificates."""

import math

import numpy as np
from numpy.typing import NDArray

from certifuse.evaluation.bounds.confidence import check_count, check_unit_risk, occam_nats
from certifuse.evaluation.bounds.evidence import ErrorCounts

SOURCE = "Catoni with a union over gamma (Lotfi et al. 2022)"
GRID_RATIO = 1e-4


def catoni_occam(risk: float, code_bits: float, examples: int, delta: float) -> float:
    """Upper bound on the true risk, in [0, 1], for losses in [0, 1].

    inf over g > 1 of (1 - exp(-g B_g / n)) / (1 - exp(-g / n)) with n = examples, a = 1e-4 and
    B_g = risk + ((1 + a) / g) (code_bits ln 2 + ln(1/delta) + 2 ln(2 + ln g / ln(1 + a)))
    (Catoni 2007, Theorem 1.2.6; Lotfi et al. 2022, arXiv 2211.13609, Theorem 1). Every g > 1 gives a valid value, so
    the search (a geometric grid, refined twice around its best point) affects tightness only.
    """
    check_unit_risk(risk)
    check_count("examples", examples, 1)
    complexity = occam_nats(code_bits, delta)

    def bound(log_g: NDArray[np.float64]) -> NDArray[np.float64]:
        g = np.exp(log_g)
        union = 2.0 * np.log(2.0 + log_g / math.log1p(GRID_RATIO))
        inner = risk + (1.0 + GRID_RATIO) / g * (complexity + union)
        return np.asarray(np.expm1(-g / examples * inner) / np.expm1(-g / examples))

    low, high = 1e-9, math.log(100.0 * examples)
    for _ in range(3):
        log_g = np.linspace(low, high, 400)
        values = bound(log_g)
        best = int(values.argmin())
        low, high = float(log_g[max(best - 1, 0)]), float(log_g[min(best + 1, len(log_g) - 1)])
    return min(1.0, float(values.min()))


def zero_one(seen: ErrorCounts, code_bits: float, delta: float) -> float:
    """The bound from the error rate alone."""
    return catoni_occam(seen.risk, code_bits, seen.examples, delta)
