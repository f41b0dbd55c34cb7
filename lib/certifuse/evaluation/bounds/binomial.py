"""The exact binomial tail, inverted: the tightest bound that an error count admits."""

import math

import numpy as np

from certifuse.evaluation.bounds.confidence import check_count, occam_nats
from certifuse.evaluation.bounds.evidence import ErrorCounts
from certifuse.evaluation.bounds.kl import kl_occam, kl_upper

SOURCE = "exact binomial tail; Clopper-Pearson at 0 bits (Langford 2005)"
NEGLIGIBLE_LOG = -60.0


def log_binomial_cdf(errors: int, examples: int, risk: float) -> float:
    """ln P(Binomial(examples, risk) <= errors) in nats, for risk >= errors / examples, also far below e^-745.

    Terms fall from j = errors downward. Once one is below e^-60 of the first, it stands for every smaller one, so
    the result errs upwards.
    """
    if errors >= examples:
        return 0.0
    if risk >= 1.0:
        return -math.inf
    odds = math.log1p(-risk) - math.log(risk)
    log_first = (
        math.lgamma(examples + 1) - math.lgamma(errors + 1) - math.lgamma(examples - errors + 1)
        + errors * math.log(risk) + (examples - errors) * math.log1p(-risk)
    )  # fmt: skip
    total, log_term, stop = 1.0, 0.0, errors
    while stop > 0:
        j = np.arange(stop, max(stop - 4096, 0), -1, dtype=np.float64)
        log_terms = log_term + np.cumsum(np.log(j) - np.log(examples - j + 1.0) + odds)
        total += float(np.exp(log_terms).sum())
        log_term, stop = float(log_terms[-1]), int(j[-1]) - 1
        if log_term < NEGLIGIBLE_LOG:
            total += stop * math.exp(log_term)
            break
    return log_first + math.log(total)


def binomial_occam(errors: int, code_bits: float, examples: int, delta: float) -> float:
    """Upper bound on the mean error probability, in [0, 1], from `errors` mistakes in `examples` independent trials.

    `inverted_tail` (Langford 2005, "Tutorial on practical prediction theory", Theorem 4.1), and `kl_occam` where the
    condition errors <= examples p - 1 does not hold at that bound p, as it may near `examples` errors.

    Draws stratified by class are independent, but err with probabilities of their own. The tail of the binomial with
    their mean p bounds theirs for errors <= examples p - 1 (Hoeffding 1956, Theorem 4), and may be below it beyond:
    two trials with probabilities 1 and 0.8978 err just once with probability 0.1022, upon which the inverted tail at
    delta = 0.1 says 0.9487, less than their mean. The kl form needs no condition (Hoeffding 1963, Theorem 1).
    """
    p = inverted_tail(errors, code_bits, examples, delta)
    return p if errors <= examples * p - 1.0 else kl_occam(errors / examples, code_bits, examples, delta)


def inverted_tail(errors: int, code_bits: float, examples: int, delta: float) -> float:
    """sup {p : P(Binomial(examples, p) <= errors) >= delta 2^-code_bits}, for trials of one error probability.

    Never above `kl_occam`, which bounds the same tail.
    """
    check_count("examples", examples, 1)
    if not 0 <= errors <= examples:
        raise ValueError(f"errors: expected an integer between 0 and examples = {examples}, got {errors!r}")
    log_tail = -occam_nats(code_bits, delta)
    inside, outside = errors / examples, kl_upper(errors / examples, -log_tail / examples)
    while inside < (middle := 0.5 * (inside + outside)) < outside:
        if log_binomial_cdf(errors, examples, middle) >= log_tail:
            inside = middle
        else:
            outside = middle
    return outside


def clopper_pearson(errors: int, examples: int, delta: float) -> float:
    """One-sided exact upper limit from identically distributed trials (Clopper, Pearson 1934).

    Equals the (1 - delta) quantile of Beta(errors + 1, examples - errors).
    """
    return inverted_tail(errors, 0.0, examples, delta)


def zero_one(seen: ErrorCounts, code_bits: float, delta: float) -> float:
    """The bound from the number of errors."""
    return binomial_occam(seen.errors, code_bits, seen.examples, delta)
