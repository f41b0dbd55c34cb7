"""The difference to the prior by empirical Bernstein."""

import math

from certifuse.evaluation.bounds.bernstein import bernstein_penalty
from certifuse.evaluation.bounds.binomial import binomial_occam
from certifuse.evaluation.bounds.confidence import check_count
from certifuse.evaluation.bounds.evidence import ErrorCounts
from certifuse.evaluation.bounds.excess import PriorComparison

SOURCE = "prior exactly, difference by empirical Bernstein"


def excess_bernstein(pairs: PriorComparison, code_bits: float, delta: float) -> float:
    """L(h0) by `binomial_occam`, the difference by empirical Bernstein over a range of 2.

    Maurer and Pontil (2009). ValueError for a single example, which has no variance.
    """
    n = pairs.examples
    check_count("examples", n, 2)
    mean = (pairs.worse - pairs.better) / n
    variance = (pairs.worse + pairs.better - n * mean**2) / (n - 1)
    penalty = bernstein_penalty(math.sqrt(max(variance, 0.0)), code_bits, n, delta / 2.0, width=2.0)
    return min(1.0, binomial_occam(pairs.prior_errors, 0.0, n, delta / 2.0) + mean + penalty)


def zero_one(seen: ErrorCounts, code_bits: float, delta: float) -> float | None:
    """The bound from the comparison with the prior; None where there is no prior, or a single example."""
    return None if seen.prior is None or seen.examples == 1 else excess_bernstein(seen.prior, code_bits, delta)
