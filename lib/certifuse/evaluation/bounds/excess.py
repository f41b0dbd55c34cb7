"""Bounds on a trained classifier through its prior: bits are paid for the differences between the two only.

L(h) = L(h0) + (L(h) - L(h0)). The prior h0 was chosen without the certificate sample, so its risk costs no bits
(exact binomial, at half of delta). The difference of the two zero-one losses is +1 on the `worse` examples that only
h gets wrong, -1 on the `better` ones that only h0 gets wrong, and 0 elsewhere; it pays the bits of h, at the other
half of delta.
"""

import math
from dataclasses import dataclass

from certifuse.evaluation.bounds.bernstein import bernstein_penalty
from certifuse.evaluation.bounds.betting import betting_occam
from certifuse.evaluation.bounds.binomial import clopper_pearson
from certifuse.evaluation.bounds.confidence import check_count, occam_nats
from certifuse.evaluation.bounds.kl import kl_lower, kl_upper


@dataclass(frozen=True, kw_only=True)
class PriorComparison:
    """Counts on the certificate sample: mistakes of the prior, and where the trained model differs from it."""

    prior_errors: int
    worse: int
    better: int
    examples: int

    def __post_init__(self) -> None:
        check_count("examples", self.examples, 2)
        for name in ("prior_errors", "worse", "better"):
            check_count(name, getattr(self, name), 0)
        if self.better > self.prior_errors or self.prior_errors + self.worse > self.examples:
            raise ValueError(
                "prior comparison: expected better <= prior_errors and prior_errors + worse <= examples, got "
                f"prior_errors {self.prior_errors}, worse {self.worse}, better {self.better}, examples {self.examples}"
            )

    @property
    def errors(self) -> int:
        """Mistakes of the trained model."""
        return self.prior_errors + self.worse - self.better


def excess_bernstein(pairs: PriorComparison, code_bits: float, delta: float) -> float:
    """L(h0) by `clopper_pearson`, the difference by empirical Bernstein over a range of 2 (Maurer, Pontil 2009)."""
    n = pairs.examples
    mean = (pairs.worse - pairs.better) / n
    variance = (pairs.worse + pairs.better - n * mean**2) / (n - 1)
    penalty = bernstein_penalty(math.sqrt(max(variance, 0.0)), code_bits, n, delta / 2.0, width=2.0)
    return min(1.0, clopper_pearson(pairs.prior_errors, n, delta / 2.0) + mean + penalty)


def excess_split_kl(pairs: PriorComparison, code_bits: float, delta: float) -> float:
    """L(h0) by `clopper_pearson`, the difference as P(worse) - P(better), each by kl inversion at delta / 4.

    The split-kl inequality (Wu and Seldin 2022, arXiv 2206.00706, Theorem 5) for a ternary variable.
    """
    n = pairs.examples
    nats = occam_nats(code_bits, delta / 4.0) / n
    difference = kl_upper(pairs.worse / n, nats) - kl_lower(pairs.better / n, nats)
    return min(1.0, clopper_pearson(pairs.prior_errors, n, delta / 2.0) + difference)


def excess_betting(pairs: PriorComparison, code_bits: float, delta: float) -> float:
    """L(h0) by `clopper_pearson`, the difference, mapped from {-1, 0, 1} to {0, 1/2, 1}, by `betting_occam`."""
    n = pairs.examples
    counts = (pairs.better, n - pairs.better - pairs.worse, pairs.worse)
    difference = 2.0 * betting_occam((0.0, 0.5, 1.0), code_bits, delta / 2.0, counts) - 1.0
    return min(1.0, clopper_pearson(pairs.prior_errors, n, delta / 2.0) + difference)
