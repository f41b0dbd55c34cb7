"""Bounds on a trained classifier through its prior: bits are paid for the differences between the two only.

L(h) = L(h0) + (L(h) - L(h0)). The prior h0 was chosen without the certificate sample, so its risk costs no bits
(exact binomial, at half of delta). The difference of the two zero-one losses is +1 on the `worse` examples that only
h gets wrong, -1 on the `better` ones that only h0 gets wrong, and 0 elsewhere; it pays the bits of h, at the other
half of delta.
"""

from dataclasses import dataclass

from certifuse.evaluation.bounds.confidence import check_count


@dataclass(frozen=True, kw_only=True)
class PriorComparison:
    """Counts on the certificate sample: mistakes of the prior, and where the trained model differs from it."""

    prior_errors: int
    worse: int
    better: int
    examples: int

    def __post_init__(self) -> None:
        check_count("examples", self.examples, 1)
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
