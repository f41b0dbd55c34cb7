"""Monte Carlo: in worlds of known risk a bound fails at most delta of the time; without its bits it is caught.

A world has M = 2^K independent hypotheses of equal risk. An adversary who sees the sample picks the one with the
fewest mistakes, so a bound that does not pay for the choice fails far more often than delta.
"""

import math

import numpy as np
import pytest
from scipy import stats

from certifuse.evaluation.bounds.bernstein import bernstein_occam, bernstein_occam_subsampled
from certifuse.evaluation.bounds.betting import betting_occam, betting_occam_subsampled
from certifuse.evaluation.bounds.binomial import binomial_occam, clopper_pearson
from certifuse.evaluation.bounds.catoni import catoni_occam
from certifuse.evaluation.bounds.excess import PriorComparison
from certifuse.evaluation.bounds.excess_bernstein import excess_bernstein
from certifuse.evaluation.bounds.excess_betting import excess_betting
from certifuse.evaluation.bounds.excess_split_kl import excess_split_kl
from certifuse.evaluation.bounds.hoeffding import hoeffding_occam, hoeffding_occam_subsampled
from certifuse.evaluation.bounds.kl import kl_occam, kl_occam_subsampled

DELTA, WORLDS, BITS = 0.1, 800, 40.0


def fails_too_often(failures: np.ndarray) -> bool:
    """Whether the failures of independent worlds contradict a failure rate of DELTA, at a level of 1e-4."""
    return stats.binom.sf(failures.sum() - 1, len(failures), DELTA) < 1e-4


def lookup(bound, rows: np.ndarray) -> np.ndarray:
    """bound(*row) for every row of whole numbers (..., S), computed once per distinct row."""
    distinct, inverse = np.unique(rows.reshape(-1, rows.shape[-1]), axis=0, return_inverse=True)
    values = np.array([bound(*map(int, row)) for row in distinct])
    return values[inverse.reshape(-1)].reshape(rows.shape[:-1])


def deviation(errors, examples):
    return math.sqrt(errors * (examples - errors) / (examples * (examples - 1)))


ZERO_ONE = {
    "binomial": lambda k, bits, n: binomial_occam(k, bits, n, DELTA),
    "kl": lambda k, bits, n: kl_occam(k / n, bits, n, DELTA),
    "catoni": lambda k, bits, n: catoni_occam(k / n, bits, n, DELTA),
    "hoeffding": lambda k, bits, n: hoeffding_occam(k / n, bits, n, DELTA),
    "bernstein": lambda k, bits, n: bernstein_occam(k / n, deviation(k, n), bits, n, DELTA),
    "betting": lambda k, bits, n: betting_occam((0.0, 1.0), bits, DELTA, (n - k, k), tolerance=1e-6),
}


def fewest_errors(true_risk: float, examples) -> np.ndarray:
    """Mistakes, (WORLDS, 1), of the luckiest of 2^BITS hypotheses: the quantile of their minimum, sampled directly."""
    uniform = np.random.default_rng(20240229).random((WORLDS, 1))
    return stats.binom.ppf(-np.expm1(np.log1p(-uniform) / 2.0**BITS), examples, true_risk).astype(int)


@pytest.mark.parametrize("true_risk", [0.02, 0.4])
@pytest.mark.parametrize("name", ZERO_ONE)
def test_zero_one_bounds(name, true_risk):
    n = 2000
    errors = fewest_errors(true_risk, n)
    assert not fails_too_often(lookup(lambda k: ZERO_ONE[name](k, BITS, n), errors) < true_risk)
    if name != "hoeffding" or true_risk > 0.1:  # far from one half Hoeffding's slack exceeds the bits
        assert fails_too_often(lookup(lambda k: ZERO_ONE[name](k, 0.0, n), errors) < true_risk)


def test_the_margin_of_the_test_is_small():
    """The exact limit fails nearly delta of the time, and one that claims half its delta is caught."""
    errors = np.random.default_rng(5).binomial(2000, 0.3, (WORLDS, 1))
    exact = lookup(lambda k: clopper_pearson(k, 2000, DELTA), errors) < 0.3
    overconfident = lookup(lambda k: clopper_pearson(k, 2000, 2 * DELTA), errors) < 0.3
    assert 0.06 < exact.mean() < 0.14
    assert not fails_too_often(exact)
    assert fails_too_often(overconfident)


SUBSAMPLED = {
    "kl": lambda k, bits, m, n: kl_occam_subsampled(k / n, bits, m, n, DELTA),
    "hoeffding": lambda k, bits, m, n: hoeffding_occam_subsampled(k / n, bits, m, n, DELTA),
    "bernstein": lambda k, bits, m, n: bernstein_occam_subsampled(k / n, deviation(k, n), bits, m, n, DELTA),
    "betting": lambda k, bits, m, n: betting_occam_subsampled(np.repeat([0.0, 1.0], [n - k, k]), bits, m, DELTA),
}


@pytest.mark.parametrize("name", SUBSAMPLED)
def test_subsampled_bounds(name):
    """The adversary fits the m documents; the n draws come afterwards. The bits must be paid, and the draws too."""
    m, true_risk = 2000, 0.4
    empirical = fewest_errors(true_risk, m) / m
    many = np.random.default_rng(7).binomial(4000, empirical)
    assert not fails_too_often(lookup(lambda k: SUBSAMPLED[name](k, BITS, m, 4000), many) < true_risk)
    assert fails_too_often(lookup(lambda k: SUBSAMPLED[name](k, 0.0, m, 4000), many) < true_risk)
    few = np.random.default_rng(8).binomial(50, empirical)
    as_if_all = lookup(lambda k: ZERO_ONE[name](k * m // 50, BITS, m), few) < true_risk
    assert not fails_too_often(lookup(lambda k: SUBSAMPLED[name](k, BITS, m, 50), few) < true_risk)
    assert fails_too_often(as_if_all)


def test_the_variance_from_a_subsample_must_be_bounded_too():
    """Rare large losses: most subsamples see none, so their own variance is zero and a bound that trusts it fails."""
    m, n, true_risk = 4000, 100, 0.01
    rng = np.random.default_rng(9)
    drawn = rng.binomial(n, rng.binomial(m, true_risk, WORLDS) / m)[:, None]

    def trusting(k):
        spread = deviation(k, n) * (math.sqrt(2 * math.log(2 / DELTA) / n) + math.sqrt(2 * math.log(4 / DELTA) / m))
        return k / n + spread

    assert not fails_too_often(lookup(lambda k: SUBSAMPLED["bernstein"](k, 0.0, m, n), drawn) < true_risk)
    assert fails_too_often(lookup(trusting, drawn) < true_risk)


EXCESS = {"betting": excess_betting, "split_kl": excess_split_kl, "bernstein": excess_bernstein}


@pytest.mark.parametrize("name", EXCESS)
def test_excess_loss_bounds(name):
    """Hypotheses that mend the same mistakes of the prior and add their own; the adversary takes the luckiest."""
    n, prior_risk, p_better, p_worse = 2000, 0.6, 0.04, 0.1
    true_risk = prior_risk * (1 - p_better) + (1 - prior_risk) * p_worse
    rng = np.random.default_rng(11)
    prior_errors = rng.binomial(n, prior_risk, (WORLDS, 1))
    better = rng.binomial(prior_errors, p_better)
    rows = np.concatenate([prior_errors, fewest_errors(p_worse, n - prior_errors), better], axis=1)[:250]

    def whole(prior, worse, better):
        return EXCESS[name](PriorComparison(prior_errors=prior, worse=worse, better=better, examples=n), BITS, DELTA)

    def with_known_prior(bits):
        def bound(prior, worse, better):
            pairs = PriorComparison(prior_errors=prior, worse=worse, better=better, examples=n)
            return EXCESS[name](pairs, bits, DELTA) - clopper_pearson(prior, n, DELTA / 2) + prior_risk

        return bound

    assert not fails_too_often(lookup(whole, rows) < true_risk)
    assert not fails_too_often(lookup(with_known_prior(BITS), rows) < true_risk)
    assert fails_too_often(lookup(with_known_prior(0.0), rows) < true_risk)


def test_betting_on_losses_between_the_ends():
    """Losses 0.25 and 0.75 under the same adversary: the range of the loss is 1, its spread a quarter."""
    n = 2000
    errors = fewest_errors(0.4, n)
    true_risk = 0.25 + 0.5 * 0.4

    def bound(bits):
        return lambda k: betting_occam((0.25, 0.75), bits, DELTA, (n - k, k), tolerance=1e-6)

    assert not fails_too_often(lookup(bound(BITS), errors) < true_risk)
    assert fails_too_often(lookup(bound(0.0), errors) < true_risk)
