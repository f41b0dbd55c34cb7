"""What a certificate of a classifier claims, derived from counts and bits alone.

The same function serves whoever writes a certificate and whoever verifies one.
"""

from typing import Any

from certifuse.evaluation.bounds.binomial import clopper_pearson
from certifuse.evaluation.bounds.confidence import check_count
from certifuse.evaluation.bounds.excess import PriorComparison
from certifuse.evaluation.bounds.inequalities import zero_one_bounds

HEADLINE = ("binomial", "excess_betting")
"""The inequalities of the claim, fixed before any sample was seen: each gets an equal share of delta."""


def coded_claim(counts: PriorComparison, code_bits: float, delta: float) -> dict[str, Any]:
    """The claim on a decoded model, and every inequality by itself.

    `bound` is the smaller of the `HEADLINE` inequalities, each at delta / 2, so it holds at confidence 1 - delta;
    each of `bounds` holds at confidence 1 - delta by itself, and the smallest of them at none that is known.
    All are upper bounds on the error probability, in [0, 1].
    """
    shared = _by_name(counts, code_bits, delta / len(HEADLINE))
    inequality = min(HEADLINE, key=lambda name: shared[name])
    return {
        "bound": shared[inequality],
        "inequality": inequality,
        "risk": counts.errors / counts.examples,
        "bounds": _by_name(counts, code_bits, delta),
    }


def untouched_claim(errors: int, examples: int, delta: float) -> dict[str, Any]:
    """The claim on a model that was chosen without the sample: no bits, the exact binomial limit."""
    check_count("examples", examples, 1)
    bound = clopper_pearson(errors, examples, delta)
    return {"risk": errors / examples, "bound": bound, "inequality": "binomial", "bounds": {"binomial": bound}}


def _by_name(counts: PriorComparison, code_bits: float, delta: float) -> dict[str, float]:
    named = zero_one_bounds(counts.errors, code_bits, counts.examples, delta, counts)
    return {bound.name: bound.value for bound in named}
