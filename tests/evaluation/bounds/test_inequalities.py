"""Values: golden rows, independent computations, brute force, limits, monotonicity."""

import importlib
import math
import sys

import mpmath
import numpy as np
import pytest
from scipy import stats

from certifuse.evaluation.bounds import (
    bernstein,
    betting,
    binomial,
    catoni,
    claims,
    evidence,
    excess,
    excess_bernstein,
    excess_betting,
    excess_split_kl,
    hoeffding,
    inequalities,
    kl,
)

PUBLISHED = {"code_bits": 3125.2, "examples": 8_009_762, "subsample": 10_000, "delta": 0.05}


@pytest.mark.parametrize(
    ("risk", "code_bits", "percent"), [(0.4471, 1681, 55.60), (0.1854, 5857, 37.06), (0.1362, 8490, 35.12)]
)
def test_catoni_gives_the_published_rows_and_kl_and_binomial_are_tighter(risk, code_bits, percent):
    bounds = {
        b.name: b.value for b in inequalities.zero_one_bounds(round(risk * 50_000), code_bits, 50_000, delta=0.05)
    }
    assert 100 * bounds["catoni"] == pytest.approx(percent, abs=0.01)
    assert 0.02 < 100 * (bounds["catoni"] - bounds["kl"]) < 0.11
    assert bounds["binomial"] < bounds["kl"] < bounds["hoeffding"]


def test_subsampled_hoeffding_gives_the_published_value():
    width = evidence.bpd_range(0.1, 50257).width
    assert hoeffding.hoeffding_occam_subsampled(9.0, width=width, **PUBLISHED) == pytest.approx(9.4489, abs=5e-5)


@pytest.mark.parametrize(("alpha", "width"), [(1e-4, 28.90), (1e-3, 25.58), (0.01, 22.25), (0.1, 18.79), (0.5, 15.62)])
def test_interval_of_the_smoothed_loss(alpha, width):
    seen = evidence.bpd_range(alpha, 50257)
    assert seen.width == pytest.approx(width, abs=0.005)
    assert seen.low + seen.width == pytest.approx(-math.log2(alpha / 50257))


def test_empirical_bernstein_gives_the_value_of_the_design_note():
    penalty = bernstein.bernstein_penalty(1.0, 3000.0, 8_000_000, 0.05, width=18.79)
    spread = math.sqrt(2 * (3000 * math.log(2) + math.log(40)) / 8e6)
    assert spread < penalty < 0.035


@pytest.mark.parametrize("nats", [1e-4, 0.03, 0.7, 5.0])
@pytest.mark.parametrize("risk", [0.0, 0.01, 0.3, 0.97, 1.0])
def test_kl_inversion_against_brute_force(risk, nats):
    grid = np.linspace(1e-6, 1 - 1e-6, 200_001)
    divergence = risk * np.log(max(risk, 1e-300) / grid) + (1 - risk) * np.log(max(1 - risk, 1e-300) / (1 - grid))
    feasible = grid[divergence <= nats]
    upper = feasible.max() if risk < 1 else 1.0
    lower = feasible.min() if risk > 0 else 0.0
    assert kl.kl_upper(risk, nats) == pytest.approx(upper, abs=1e-5)
    assert kl.kl_lower(risk, nats) == pytest.approx(lower, abs=1e-5)


def test_kl_inversion_of_a_perfect_score_is_in_closed_form():
    assert kl.kl_occam(0.0, 100.0, 1000, 0.05) == pytest.approx(1 - 0.05 ** (1 / 1000) * 2 ** (-100 / 1000))


@pytest.mark.parametrize(("errors", "examples"), [(0, 10), (3, 10), (9, 10), (10, 10), (170, 10_000), (49_000, 50_000)])
def test_clopper_pearson_is_the_beta_quantile(errors, examples):
    expected = stats.beta.ppf(0.95, errors + 1, examples - errors) if errors < examples else 1.0
    assert binomial.clopper_pearson(errors, examples, 0.05) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("errors", "examples", "code_bits"), [(20, 100, 60.0), (1700, 10_000, 1700.0)])
def test_binomial_tail_far_below_double_precision(errors, examples, code_bits):
    """Against mpmath: at the bound the exact tail is delta 2^-K."""
    p = mpmath.mpf(binomial.binomial_occam(errors, code_bits, examples, 0.05))
    with mpmath.workdps(30):
        tail = mpmath.fsum(mpmath.binomial(examples, j) * p**j * (1 - p) ** (examples - j) for j in range(errors + 1))
        assert float(mpmath.log(tail / 0.05, 2)) == pytest.approx(-code_bits, abs=1e-6)


def test_catoni_against_a_fine_grid():
    risk, code_bits, n, delta, a = 0.2, 50.0, 2000, 0.1, 1e-4
    g = np.exp(np.linspace(1e-6, 12, 400_000))
    inner = risk + (1 + a) / g * (code_bits * math.log(2) - math.log(delta) + 2 * np.log(2 + np.log(g) / math.log1p(a)))
    brute = ((1 - np.exp(-g * inner / n)) / (1 - np.exp(-g / n))).min()
    assert catoni.catoni_occam(risk, code_bits, n, delta) == pytest.approx(brute, abs=1e-7)


def test_betting_on_two_values_costs_little_more_than_kl():
    """The best stake turns the capital into exp(n kl); the average over stakes costs at most ln 97 and a rounding."""
    bound = betting.betting_occam((0.0, 1.0), 100.0, 0.05, (8000, 2000))
    extra_nats = 10_000 * kl.binary_kl(0.2, bound) - 100.0 * math.log(2) - math.log(20)
    assert 0.0 < extra_nats < math.log(len(betting.STAKES)) + 1.0


def test_betting_capital_against_a_plain_product():
    losses, mean = np.array([0.1, 0.4, 0.4, 0.9]), 0.55
    capital = np.mean([math.prod(1 - c + c * (1 - x) / (1 - mean) for x in losses) for c in betting.STAKES])
    log_capital = betting.log_capital(np.array([0.1, 0.4, 0.9]), np.array([1.0, 2.0, 1.0]), mean)
    assert log_capital == pytest.approx(math.log(capital))


def test_small_spread_pays_for_bernstein_and_betting():
    losses = 0.5 + 0.01 * np.random.default_rng(0).standard_normal(2000)
    mean, deviation = float(losses.mean()), float(losses.std(ddof=1))
    plain = hoeffding.hoeffding_occam(mean, 20.0, 2000, 0.05)
    spread = bernstein.bernstein_occam(mean, deviation, 20.0, 2000, 0.05)
    bet = betting.betting_occam(losses, 20.0, 0.05)
    assert mean < bet < spread < plain


def test_excess_loss_pays_bits_for_the_differences_only():
    pairs = excess.PriorComparison(prior_errors=6500, worse=100, better=140, examples=10_000)
    free = binomial.clopper_pearson(6500, 10_000, 0.05)
    direct = binomial.binomial_occam(pairs.errors, 58.0, 10_000, 0.05)
    betting_, split, spread = (
        excess_betting.excess_betting(pairs, 58.0, 0.05),
        excess_split_kl.excess_split_kl(pairs, 58.0, 0.05),
        excess_bernstein.excess_bernstein(pairs, 58.0, 0.05),
    )
    assert free < betting_ < split < direct
    assert betting_ < spread
    same = excess.PriorComparison(prior_errors=6500, worse=0, better=0, examples=10_000)
    assert excess_betting.excess_betting(same, 0.0, 0.05) == pytest.approx(
        binomial.clopper_pearson(6500, 10_000, 0.025), abs=2e-3
    )


ONE_EXAMPLE = excess.PriorComparison(prior_errors=0, worse=1, better=0, examples=1)


def test_one_example_has_every_bound_that_needs_no_variance():
    names = [bound.name for bound in inequalities.zero_one_bounds(1, 8.0, 1, 0.05, ONE_EXAMPLE)]
    assert names == [name for name in claims.REPORTED if not name.endswith("bernstein")]


UNIT_BOUNDS = {
    "kl": lambda k, bits, n, delta: kl.kl_occam(k / n, bits, n, delta),
    "binomial": binomial.binomial_occam,
    "catoni": lambda k, bits, n, delta: catoni.catoni_occam(k / n, bits, n, delta),
    "hoeffding": lambda k, bits, n, delta: hoeffding.hoeffding_occam(k / n, bits, n, delta),
    "bernstein": lambda k, bits, n, delta: bernstein.bernstein_occam(k / n, 0.4, bits, n, delta),
    "betting": lambda k, bits, n, delta: betting.betting_occam((0.0, 1.0), bits, delta, (n - k, k)),
    "kl_subsampled": lambda k, bits, n, delta: kl.kl_occam_subsampled(k / n, bits, 7 * n, n, delta),
    "hoeffding_subsampled": lambda k, bits, n, delta: hoeffding.hoeffding_occam_subsampled(
        k / n, bits, 7 * n, n, delta
    ),
    "bernstein_subsampled": lambda k, bits, n, delta: bernstein.bernstein_occam_subsampled(
        k / n, 0.4, bits, 7 * n, n, delta
    ),
}


@pytest.mark.parametrize("name", UNIT_BOUNDS)
def test_monotone_in_risk_bits_examples_and_confidence(name):
    bound = UNIT_BOUNDS[name]
    middle = bound(40, 10.0, 200, 0.05)
    assert bound(41, 10.0, 200, 0.05) > middle > bound(39, 10.0, 200, 0.05)
    assert bound(40, 11.0, 200, 0.05) > middle > bound(40, 9.0, 200, 0.05)
    assert bound(40, 10.0, 200, 0.04) > middle > bound(40, 10.0, 200, 0.06)
    assert bound(20, 10.0, 100, 0.05) > middle > bound(80, 10.0, 400, 0.05)


@pytest.mark.parametrize("name", UNIT_BOUNDS)
def test_trivial_limits(name):
    bound = UNIT_BOUNDS[name]
    assert bound(250_000, 10.0, 1_000_000, 0.05) == pytest.approx(0.25, abs=0.004)
    assert bound(5, 5000.0, 20, 0.05) >= 1.0 - 1e-6


@pytest.mark.parametrize("name", UNIT_BOUNDS)
@pytest.mark.parametrize(("bits", "n", "delta"), [(-1.0, 10, 0.1), (math.nan, 10, 0.1), (1.0, 10, 0.0), (1.0, 10, 1.0)])
def test_senseless_evidence_is_refused(name, bits, n, delta):
    with pytest.raises(ValueError, match="expected"):
        UNIT_BOUNDS[name](3, bits, n, delta)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: kl.kl_upper(1.2, 0.1), "risk"),
        (lambda: kl.kl_upper(0.2, -0.1), "nats"),
        (lambda: kl.kl_occam(0.2, 1.0, 0, 0.1), "examples"),
        (lambda: binomial.binomial_occam(11, 0.0, 10, 0.1), "errors"),
        (lambda: hoeffding.hoeffding_occam(0.2, 1.0, 10, 0.1, width=0.0), "width"),
        (lambda: bernstein.bernstein_occam(0.2, 0.9, 1.0, 10, 0.1), "standard_deviation"),
        (lambda: bernstein.bernstein_occam(0.2, 0.1, 1.0, 1, 0.1), "examples"),
        (lambda: excess_bernstein.excess_bernstein(ONE_EXAMPLE, 1.0, 0.1), "examples"),
        (lambda: betting.betting_occam([0.2, 1.3], 1.0, 0.1), "losses"),
        (lambda: betting.betting_occam([], 1.0, 0.1), "losses"),
        (lambda: evidence.bpd_range(0.0, 10), "alpha"),
        (lambda: evidence.bpd_range(0.5, 1), "vocabulary"),
        (lambda: excess.PriorComparison(prior_errors=3, worse=1, better=4, examples=10), "better <= prior_errors"),
        (lambda: evidence.DocumentEvidence(risk_bpd=99.0, documents=9, alpha=0.1, vocabulary=9), "risk_bpd"),
    ],
)
def test_refusals_name_the_field(call, field):
    with pytest.raises(ValueError, match=field):
        call()


@pytest.mark.parametrize(("errors", "examples"), [(0, 1), (3, 10)])
def test_those_of_the_claim_come_first_and_others_are_found(errors, examples, tmp_path, monkeypatch):
    """A module that is added is offered beside the others, and no claim reports it."""
    (tmp_path / "certain.py").write_text(
        "SOURCE = 'no risk is above one'\n\n\ndef zero_one(seen, code_bits, delta):\n    return 1.0\n"
    )
    package = importlib.import_module(inequalities.PACKAGE)
    without = inequalities.zero_one_bounds(errors, 8.0, examples, 0.05)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    *known, last = inequalities.zero_one_bounds(errors, 8.0, examples, 0.05)
    del sys.modules[f"{inequalities.PACKAGE}.certain"]
    assert known == without
    assert last == inequalities.NamedBound("certain", 1.0, "no risk is above one")
    names = [
        name for name in claims.REPORTED if not name.startswith("excess_") and (examples > 1 or name != "bernstein")
    ]
    assert [bound.name for bound in known] == names
    if examples > 1:
        pairs = excess.PriorComparison(prior_errors=errors, worse=0, better=0, examples=examples)
        assert list(claims.coded_claim(pairs, 8.0, 0.05)["bounds"]) == list(claims.REPORTED)


def test_a_comparison_with_other_counts_is_refused():
    pairs = excess.PriorComparison(prior_errors=3, worse=0, better=0, examples=10)
    with pytest.raises(ValueError, match="its counts give 3 errors in 10 examples, expected 4 in 10"):
        inequalities.zero_one_bounds(4, 8.0, 10, 0.05, pairs)


def test_error_counts_round_up():
    assert inequalities.count_errors(0.1362, 50_000) == 6810
    assert inequalities.count_errors(0.13621, 50_000) == 6811


def test_document_bounds_from_the_losses():
    losses = np.random.default_rng(1).normal(9.0, 1.0, 500)
    seen = {"risk_bpd": float(losses.mean()), "losses_bpd": losses, "alpha": 0.1, "vocabulary": 50257}
    drawn = evidence.DocumentEvidence(documents=500_000, subsample=500, **seen)
    bounds = {b.name: b.value for b in inequalities.bpd_bounds(drawn, 100.0, 0.05)}
    assert bounds["betting"] < bounds["bernstein"] < bounds["kl"] < bounds["hoeffding"] < math.log2(50257)
    whole = evidence.DocumentEvidence(documents=500, **seen)
    bounds = {b.name: b.value for b in inequalities.bpd_bounds(whole, 5.0, 0.05)}
    assert seen["risk_bpd"] < bounds["betting"] < bounds["bernstein"] < bounds["hoeffding"]
    assert bounds["kl"] < bounds["hoeffding"]
