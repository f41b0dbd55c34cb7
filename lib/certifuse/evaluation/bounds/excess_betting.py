"""The difference to the prior by betting."""

from certifuse.evaluation.bounds.betting import betting_occam
from certifuse.evaluation.bounds.binomial import binomial_occam
from certifuse.evaluation.bounds.evidence import ErrorCounts
from certifuse.evaluation.bounds.excess import PriorComparison

SOURCE = "prior exactly, difference by betting"


def excess_betting(pairs: PriorComparison, code_bits: float, delta: float) -> float:
    """L(h0) by `binomial_occam`, the difference, mapped from {-1, 0, 1} to {0, 1/2, 1}, by `betting_occam`."""
    n = pairs.examples
    counts = (pairs.better, n - pairs.better - pairs.worse, pairs.worse)
    difference = 2.0 * betting_occam((0.0, 0.5, 1.0), code_bits, delta / 2.0, counts) - 1.0
    return min(1.0, binomial_occam(pairs.prior_errors, 0.0, n, delta / 2.0) + difference)


def zero_one(seen: ErrorCounts, code_bits: float, delta: float) -> float | None:
    """The bound from the comparison with the prior; None where there is no prior."""
    return None if seen.prior is None else excess_betting(seen.prior, code_bits, delta)
