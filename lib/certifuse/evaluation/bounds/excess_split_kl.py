"""The difference to the prior by the split-kl inequality."""

from certifuse.evaluation.bounds.binomial import binomial_occam
from certifuse.evaluation.bounds.confidence import occam_nats
from certifuse.evaluation.bounds.evidence import ErrorCounts
from certifuse.evaluation.bounds.excess import PriorComparison
from certifuse.evaluation.bounds.kl import kl_lower, kl_upper

SOURCE = "prior exactly, difference by split-kl (Wu, Seldin 2022)"


def excess_split_kl(pairs: PriorComparison, code_bits: float, delta: float) -> float:
    """L(h0) by `binomial_occam`, the difference as P(worse) - P(better), each by kl inversion at delta / 4.

    The split-kl inequality (Wu and Seldin 2022, arXiv 2206.00706, Theorem 5) for a ternary variable.
    """
    n = pairs.examples
    nats = occam_nats(code_bits, delta / 4.0) / n
    difference = kl_upper(pairs.worse / n, nats) - kl_lower(pairs.better / n, nats)
    return min(1.0, binomial_occam(pairs.prior_errors, 0.0, n, delta / 2.0) + difference)


def zero_one(seen: ErrorCounts, code_bits: float, delta: float) -> float | None:
    """The bound from the comparison with the prior; None where there is no prior."""
    return None if seen.prior is None else excess_split_kl(seen.prior, code_bits, delta)
