import math

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from certifuse.evaluation.bounds.excess import PriorComparison
from certifuse.evaluation.bounds.excess_betting import excess_betting
from certifuse.evaluation.bounds.kl import kl_occam
from certifuse.reporting.certificates.choice import best_per, count_priors, crossings, quoted
from certifuse.reporting.certificates.iso_lines import iso_risk
from certifuse.reporting.frontier import unbeaten


def row_with(**changes: object) -> dict[str, object]:
    counts = {"prior_errors": 7000, "worse": 1500, "better": 2500, "errors": 6000, "examples": 10_000}
    return counts | {"code_bits": 150.0, "delta": 0.05} | changes


def test_quoting_the_best_of_many_is_the_binomial_tail_at_a_share_of_delta():
    """Independent: SciPy's binomial tail, inverted by Brent's method."""
    log_share = math.log(0.05 / 12 / 2) - 150 * math.log(2)
    expected = optimize.brentq(lambda p: stats.binom.logcdf(6000, 10_000, p) - log_share, 0.6, 0.8, xtol=1e-12)
    assert quoted(row_with(), 12) == ("binomial", pytest.approx(100 * expected, abs=1e-6))
    assert quoted(row_with(), 12)[1] > quoted(row_with(), 1)[1]


def test_quoting_a_model_near_its_prior_goes_by_the_excess():
    near = row_with(worse=20, better=60, errors=6960)
    pairs = PriorComparison(prior_errors=7000, worse=20, better=60, examples=10_000)
    expected = 100 * excess_betting(pairs, 150.0, 0.05 / 3 / 2)
    assert quoted(near, 3) == ("excess_betting", pytest.approx(expected))


def test_priors_are_counted_once_whatever_their_dimensions_levels_and_lambdas(study):
    assert count_priors(study.certificates) == 2 * 2 * 2
    assert count_priors(study.certificates[study.certificates["kind"] == "prior"]) == 0


def test_crossings_are_where_the_bounds_say(study):
    found = {(one.row["scheme"], one.row["fusion"], one.row["seed"]): one for one in crossings(study.certificates)}
    assert len(found) == 8
    for (scheme, fusion, seed), crossing in found.items():
        rows = study.certificates[study.certificates["seed"] == seed].query("scheme == @scheme")
        zero_bit = float(rows.loc[rows["kind"] == "prior", "bound_percent"].iloc[0])
        trained = rows[(rows["kind"] == "subspace") & (rows["fusion"] == fusion)]
        below = [d for d, bound in zip(trained["d"], trained["bound_percent"], strict=True) if bound < zero_bit]
        assert crossing.crosses == bool(below) == (scheme == "by_class")
        pool = trained[trained["d"] == min(below)] if below else trained
        assert crossing.row["bound_percent"] == pool["bound_percent"].min()
        assert crossing.margin_points == pytest.approx(pool["bound_percent"].min() - zero_bit)


def test_without_a_prior_nothing_is_said_to_cross(one):
    (found,) = crossings(one.certificates[one.certificates["kind"] != "prior"])
    assert (found.margin_points, found.crosses) == (None, False)


def test_a_bound_equal_to_the_zero_bit_one_does_not_cross(one):
    level = one.certificates.assign(bound_percent=70.0)
    (found,) = crossings(level)
    assert (found.margin_points, found.crosses) == (0.0, False)


def test_of_equal_bounds_the_shorter_code_is_best(one):
    (best,) = best_per(one.certificates.query("kind == 'subspace'").assign(bound_percent=70.0), ["seed"]).itertuples()
    assert (best.d, best.levels) == (16, 3)


def test_the_frontier_is_what_no_other_beats():
    generator = np.random.default_rng(0)
    rows = pd.DataFrame({"code_bits": generator.integers(1, 40, 200), "risk_percent": generator.integers(1, 40, 200)})
    points = set(rows.itertuples(index=False, name=None))
    expected = {
        (k, q) for k, q in points if not any(a <= k and b <= q and (a, b) != (k, q) for a, b in points)
    }  # fmt: skip
    found = list(unbeaten(rows, "code_bits", "risk_percent").itertuples(index=False, name=None))
    assert set(found) == expected
    assert len(found) == len(expected)
    assert found == sorted(found)
    assert [risk for _, risk in found] == sorted((risk for _, risk in found), reverse=True)


@pytest.mark.parametrize("code_bits", [0.0, 37.0, 2000.0])
@pytest.mark.parametrize("certified", [0.3, 0.7])
def test_an_iso_line_is_the_inverse_of_the_kl_bound(certified, code_bits):
    risk = iso_risk(certified, code_bits, 10_000, 0.05)
    assert kl_occam(risk, code_bits, 10_000, 0.05) == pytest.approx(certified, abs=1e-12)


def test_an_iso_line_ends_where_no_risk_is_small_enough():
    """At risk 0 the bound is 1 - (delta 2^-K)^(1/n)."""
    least = 1 - (0.05 * 2.0**-100) ** (1 / 1000)
    assert iso_risk(least * (1 + 1e-9), 100.0, 1000, 0.05) == pytest.approx(0.0, abs=1e-6)
    assert math.isnan(iso_risk(least * (1 - 1e-9), 100.0, 1000, 0.05))
