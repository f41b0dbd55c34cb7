"""Claims of the certificate of a classifier, derived from counts and bits alone.

The same function serves whoever writes a certificate and whoever verifies one.
"""

from collections.abc import Callable
from typing import Any

from certifuse.evaluation.bounds import (
    bernstein,
    betting,
    binomial,
    catoni,
    excess_bernstein,
    excess_betting,
    excess_split_kl,
    hoeffding,
    kl,
)
from certifuse.evaluation.bounds.binomial import binomial_occam
from certifuse.evaluation.bounds.confidence import check_count
from certifuse.evaluation.bounds.evidence import ErrorCounts
from certifuse.evaluation.bounds.excess import PriorComparison

REPORTED: dict[str, Callable[[ErrorCounts, float, float], float | None]] = {
    "binomial": binomial.zero_one,
    "kl": kl.zero_one,
    "catoni": catoni.zero_one,
    "betting": betting.zero_one,
    "bernstein": bernstein.zero_one,
    "hoeffding": hoeffding.zero_one,
    "excess_betting": excess_betting.zero_one,
    "excess_split_kl": excess_split_kl.zero_one,
    "excess_bernstein": excess_bernstein.zero_one,
}
"""What a certificate says beside the claim. Further inequalities leave it as it is."""

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
    bound = binomial_occam(errors, 0.0, examples, delta)
    return {"risk": errors / examples, "bound": bound, "inequality": "binomial", "bounds": {"binomial": bound}}


def _by_name(counts: PriorComparison, code_bits: float, delta: float) -> dict[str, float]:
    seen = ErrorCounts(counts.errors, counts.examples, counts)
    values = {name: zero_one(seen, code_bits, delta) for name, zero_one in REPORTED.items()}
    return {name: value for name, value in values.items() if value is not None}
