"""What a certificate claims, against scipy; and that choosing the smaller of two inequalities is paid for."""

import itertools
import math

import numpy as np
import pytest
from scipy import optimize, special, stats

from certifuse.evaluation.bounds.betting import STAKES
from certifuse.evaluation.bounds.binomial import binomial_occam
from certifuse.evaluation.bounds.claims import HEADLINE, REPORTED, coded_claim, untouched_claim
from certifuse.evaluation.bounds.excess import PriorComparison

CASES = [(27, 2, 3, 251, 62.0), (1200, 40, 90, 5000, 170.0), (0, 0, 0, 300, 0.0), (30, 200, 10, 400, 20.0)]


def pairs(prior: int, worse: int, better: int, examples: int) -> PriorComparison:
    return PriorComparison(prior_errors=prior, worse=worse, better=better, examples=examples)


def beta_limit(errors: int, examples: int, delta: float) -> float:
    """Clopper and Pearson's upper limit as scipy has it."""
    return float(stats.beta.ppf(1 - delta, errors + 1, examples - errors)) if errors < examples else 1.0


def binomial_tail_limit(errors: int, examples: int, log_delta: float) -> float:
    """sup {p : P(Binomial(n, p) <= errors) >= delta}, by scipy's regularised incomplete beta function and its roots."""

    def excess(p: float) -> float:
        with np.errstate(divide="ignore"):
            return float(stats.binom.logcdf(errors, examples, p)) - log_delta

    return float(optimize.brentq(excess, errors / examples, 1 - 1e-12, xtol=1e-13))


def betting_limit(better: int, worse: int, examples: int, log_target: float) -> float:
    """sup of the means of (loss - prior's loss) at which a gambler on all `STAKES` has not reached the target."""
    losses = np.repeat([0.0, 0.5, 1.0], [better, examples - better - worse, worse])

    def excess(mean: float) -> float:
        factors = 1 + STAKES[:, None] * ((1 - losses) / (1 - mean) - 1)
        with np.errstate(divide="ignore"):
            return float(special.logsumexp(np.log(factors).sum(1)) - math.log(len(STAKES))) - log_target

    return 2 * float(optimize.brentq(excess, losses.mean() + 1e-9, 1 - 1e-9, xtol=1e-12)) - 1


@pytest.mark.parametrize(("prior", "worse", "better", "examples", "bits"), CASES)
@pytest.mark.parametrize("delta", [0.05, 0.001])
def test_the_claim_equals_an_independent_computation(prior, worse, better, examples, bits, delta):
    claim = coded_claim(pairs(prior, worse, better, examples), bits, delta)
    errors = prior + worse - better
    half = math.log(delta / 2) - bits * math.log(2)
    excess = beta_limit(prior, examples, delta / 4) + betting_limit(better, worse, examples, -half + math.log(2))
    expected = {
        "binomial": binomial_tail_limit(errors, examples, half),
        "excess_betting": min(1.0, excess),
    }
    assert claim["risk"] == errors / examples
    assert claim["inequality"] == min(expected, key=expected.__getitem__)
    assert claim["bound"] == pytest.approx(min(expected.values()), abs=1e-7)
    assert claim["bounds"]["binomial"] == pytest.approx(
        binomial_tail_limit(errors, examples, half + math.log(2)), abs=1e-9
    )
    assert list(claim["bounds"]) == list(REPORTED)


def test_either_inequality_wins_somewhere():
    assert {coded_claim(pairs(*case[:4]), case[4], 0.05)["inequality"] for case in CASES} == set(HEADLINE)


@pytest.mark.parametrize("delta", [0.3, 0.05, 1e-6])
@pytest.mark.parametrize(("errors", "examples"), [(0, 1), (1, 1), (0, 40), (12, 126), (126, 126), (4000, 10_000)])
def test_an_untouched_sample_gives_the_exact_binomial_limit(errors, examples, delta):
    claim = untouched_claim(errors, examples, delta)
    assert claim["bound"] == pytest.approx(beta_limit(errors, examples, delta), abs=1e-9)
    assert claim["bounds"] == {"binomial": claim["bound"]}
    assert (claim["risk"], claim["inequality"]) == (errors / examples, "binomial")


def test_without_a_sample_there_is_no_claim():
    with pytest.raises(ValueError, match="examples"):
        untouched_claim(0, 0, 0.05)


@pytest.mark.parametrize(("prior", "worse", "better", "examples", "_"), CASES)
def test_every_bound_grows_with_the_bits_and_falls_with_delta(prior, worse, better, examples, _):
    seen = pairs(prior, worse, better, examples)
    by_bits = [coded_claim(seen, bits, 0.05) for bits in (0.0, 1.0, 30.0, 300.0, 1e6)]
    by_delta = [coded_claim(seen, 20.0, delta) for delta in (0.2, 0.05, 1e-3, 1e-9)]
    for row in (by_bits, by_delta):
        for first, second in itertools.pairwise(row):
            assert first["bound"] <= second["bound"]
            assert all(first["bounds"][name] <= second["bounds"][name] + 1e-12 for name in REPORTED)
    assert by_bits[-1]["bound"] == 1.0


def test_more_mistakes_are_a_larger_claim():
    bounds = [coded_claim(pairs(40, worse, 5, 400), 12.0, 0.05)["bound"] for worse in range(0, 120, 10)]
    assert bounds == sorted(bounds)
    assert len(set(bounds)) == len(bounds)


# ---- the choice between the two is paid for --------------------------------------------------------


def last_failure(bound, risk: float, examples: int) -> int:
    """The largest count whose bound is below the true risk (bounds rise with the count); -1 where there is none."""
    low, high = -1, examples
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bound(middle) < risk else (low, middle)
    return low


def test_choosing_after_the_fact_fails_too_often_and_the_headline_does_not():
    """A world in which the two inequalities fail on different hypotheses, and so nearly add up; no sampling needed.

    One of 2^K messages decodes to the prior itself, whose risk the excess bound takes from the prior's exact limit.
    All others decode to models whose mistakes are independent of it and of each other, which the difference to the
    prior says nothing useful of; the luckiest of them is what the binomial bound fails on. At 2 delta the headline is
    the minimum of both inequalities at delta each, as if choosing were free.
    """
    risk, examples, bits, delta = 0.3, 300_000, 6.0, 0.05

    def failures(confidence: float) -> float:
        """Probability that some hypothesis is above its bound."""

        def of_prior(errors: int) -> float:
            return coded_claim(pairs(errors, 0, 0, examples), bits, confidence)["bound"]

        def of_others(errors: int) -> float:
            return binomial_occam(errors, bits, examples, confidence / 2)

        counts = [last_failure(bound, risk, examples) for bound in (of_prior, of_others)]
        prior, one = (float(stats.binom.cdf(count, examples, risk)) for count in counts)
        return 1 - (1 - prior) * (1 - one) ** (2**bits - 1)

    errors = round(risk * examples)
    independent = pairs(errors, round(0.7 * errors), round(0.7 * errors), examples)
    assert coded_claim(independent, bits, delta)["inequality"] == "binomial"
    assert failures(delta) <= delta
    assert failures(2 * delta) > 1.2 * delta
