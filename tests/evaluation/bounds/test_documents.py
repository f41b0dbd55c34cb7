"""Bounds on documents: published values, the price of the smoothing, decompositions, and validity by Monte Carlo."""

import math

import numpy as np
import pytest
from scipy import optimize, special, stats

from certifuse.evaluation.bounds import bernstein, betting, hoeffding, kl, nested_betting
from certifuse.evaluation.bounds.bernstein import bernstein_occam_subsampled
from certifuse.evaluation.bounds.betting import betting_occam, betting_occam_subsampled
from certifuse.evaluation.bounds.decomposition import decomposed_bounds
from certifuse.evaluation.bounds.documents import (
    SMOOTHING,
    document_bounds,
    smoothing_charge,
    top_k_bounds,
)
from certifuse.evaluation.bounds.evidence import LossSample, bpd_range
from certifuse.evaluation.bounds.hoeffding import hoeffding_occam_subsampled
from certifuse.evaluation.bounds.kl import kl_occam_subsampled
from certifuse.evaluation.bounds.ledger import Charge, Ledger
from certifuse.evaluation.bounds.nested_betting import DRAW_STAKES, LOG_WEIGHTS, STAKES, log_evidence
from certifuse.evaluation.bounds.nested_betting import nested_betting_occam_subsampled as nested

INEQUALITIES = {
    "hoeffding": hoeffding.LOSSES,
    "kl": kl.LOSSES,
    "bernstein": bernstein.LOSSES,
    "betting": betting.LOSSES,
    "nested_betting": nested_betting.LOSSES,
}
ALPHAS = (0.01, 0.1, 0.5)
VOCABULARY, DOCUMENTS, DRAWS, DELTA = 256, 74_057, 5000, 0.05


def ledger_for(bits: float, alphas=ALPHAS) -> Ledger:
    return Ledger((Charge("symbols", bits),)).plus(smoothing_charge(alphas))


def smallest(bounds):
    """By name the bound under the smoothing with the smallest value."""
    names = dict.fromkeys(own.bound.name for own in bounds)
    return {
        name: min((own for own in bounds if own.bound.name == name), key=lambda own: own.bound.value) for name in names
    }


@pytest.fixture(scope="module")
def losses():
    rng = np.random.default_rng(3)
    return np.stack([4.04 + shift + 0.12 * rng.standard_normal(DRAWS) for shift in (0.0, 0.06, 0.6)], axis=1)


def test_published_form_gives_the_published_value():
    """The ledger's total is all that the published formula sees: 3110.2 bits and 15 for choices."""
    losses = np.where(np.arange(10_000) % 2, 8.0, 10.0)[:, None]
    ledger = Ledger((Charge("message", 3110.2), Charge("choices", 15.0))).plus(smoothing_charge([0.1]))
    (first, *_) = document_bounds(losses, [0.1], 50_257, 8_009_762, ledger, DELTA, {})
    assert (first.bound.name, first.alpha) == ("published", 0.1)
    assert first.bound.value == pytest.approx(9.4489, abs=5e-5)
    assert first.bound.subsampling == pytest.approx(0.230, abs=5e-4)
    assert first.bound.complexity == pytest.approx(0.219, abs=5e-4)


def test_each_name_is_its_formula_at_a_share_of_delta(losses):
    ledger = ledger_for(3000.0)
    found = {(b.alpha, b.bound.name): b.bound for b in document_bounds(
        losses, ALPHAS, VOCABULARY, DOCUMENTS, ledger, DELTA, INEQUALITIES)}  # fmt: skip
    for alpha, losses_N in zip(ALPHAS, losses.T, strict=True):
        low, width = bpd_range(alpha, VOCABULARY)
        mean, spread, m, n, each = losses_N.mean(), losses_N.std(ddof=1), DOCUMENTS, DRAWS, DELTA / 3
        expected = {
            "published": hoeffding_occam_subsampled(mean, 3000.0 + math.log2(3), m, n, DELTA, width),
            "hoeffding": hoeffding_occam_subsampled(mean, 3000.0, m, n, each, width),
            "kl": low + width * kl_occam_subsampled((mean - low) / width, 3000.0, m, n, each),
            "bernstein": bernstein_occam_subsampled(mean, spread, 3000.0, m, n, each, width),
            "betting": betting_occam_subsampled(losses_N, 3000.0, m, each, low, width),
            "nested_betting": nested(losses_N, 3000.0, m, each, low, width),
        }
        assert {name for a, name in found if a == alpha} == set(expected)
        for name, value in expected.items():
            bound = found[alpha, name]
            assert bound.value == pytest.approx(value, abs=1e-9)
            assert bound.risk + bound.subsampling + bound.complexity == pytest.approx(bound.value)
            assert bound.subsampling > 0
            assert bound.complexity > 0


def test_the_smoothing_is_paid_once_whatever_the_order(losses):
    ledger = ledger_for(3000.0)
    some = {name: INEQUALITIES[name] for name in ("hoeffding", "bernstein", "nested_betting")}
    best = smallest(document_bounds(losses, ALPHAS, VOCABULARY, DOCUMENTS, ledger, DELTA, some))
    backwards = smallest(document_bounds(losses[:, ::-1], ALPHAS[::-1], VOCABULARY, DOCUMENTS, ledger, DELTA, some))
    assert list(best) == ["published", *some]
    assert {name: (b.alpha, b.bound.value) for name, b in best.items()} == {
        name: (b.alpha, b.bound.value) for name, b in backwards.items()
    }
    assert ledger.rows()[SMOOTHING] == pytest.approx(math.log2(3))
    chosen = ALPHAS.index(best["nested_betting"].alpha)
    alone = smallest(
        document_bounds(
            losses[:, [chosen]], [ALPHAS[chosen]], VOCABULARY, DOCUMENTS, ledger_for(3000.0, [0.1]), DELTA, some
        )
    )
    assert alone["nested_betting"].bound.value < best["nested_betting"].bound.value
    assert alone["published"].bound.value == alone["hoeffding"].bound.value
    with pytest.raises(ValueError, match=r"expected a row .smoothing alpha. of 1\.58496 bits"):
        document_bounds(losses, ALPHAS, VOCABULARY, DOCUMENTS, Ledger(), DELTA, some)
    with pytest.raises(ValueError, match="one column for each of 2"):
        document_bounds(losses, ALPHAS[:2], VOCABULARY, DOCUMENTS, ledger, DELTA, some)


def test_terms_shrink_from_the_published_form_to_nested_betting(losses):
    best = smallest(document_bounds(losses, ALPHAS, VOCABULARY, DOCUMENTS, ledger_for(3600.0), DELTA, INEQUALITIES))
    published, ours = best["published"].bound, best["nested_betting"].bound
    assert published.complexity > 1.1 > 0.31 > ours.complexity
    assert published.subsampling > 0.18 > 0.02 > ours.subsampling
    assert ours.value < best["betting"].bound.value < best["bernstein"].bound.value < published.value


def test_nested_betting_nears_its_limit_for_losses_that_hardly_differ():
    low, width = bpd_range(0.1, VOCABULARY)
    losses = np.full(200_000, 4.0)
    bits, m = 3600.0, DOCUMENTS
    nats = bits * math.log(2) - math.log(0.05 * 200_000 / (200_000 + m))
    limit = low + width - (low + width - 4.0) * math.exp(-nats / m)
    assert 0.0 < nested(losses, bits, m, 0.05, low, width) - limit < 5e-3


def test_nested_betting_is_the_average_over_all_pairs_of_stakes():
    losses, counts, mean, nats = np.array([0.1, 0.35, 0.6]), np.array([4.0, 9.0, 5.0]), 0.6, 0.01
    capital = 0.0
    for c in STAKES:
        edges = (np.log(1 - c + c * (1 - losses) / (1 - mean)) - nats) / (nats - math.log(1 - c))
        for b, log_weight in zip(DRAW_STAKES, LOG_WEIGHTS, strict=True):
            capital += math.exp(log_weight) / len(STAKES) * float(np.prod((1 + b * edges) ** counts))
    assert math.exp(log_evidence(losses, counts, mean, nats)) == pytest.approx(capital, rel=1e-12)


def one_draw_stake_each(losses: np.ndarray, bits: float, m: int, delta: float) -> float:
    """The bound of a gambler who looks for one draw stake for every stake on the examples, for losses in [0, 1]."""
    n = losses.size
    nats = (bits * math.log(2) - math.log(n / (n + m) * delta) + math.log(STAKES.size)) / m
    target = -math.log(m / (n + m) * delta)

    def evidence(mean: float) -> float:
        edges = np.log(1 - STAKES + STAKES * ((1 - losses) / (1 - mean))[:, None]) - nats
        edges /= nats - np.log1p(-STAKES)
        wanted = edges.sum(axis=0) / np.maximum((edges**2).sum(axis=0), 1e-300)
        chosen = np.abs(DRAW_STAKES[:, None] - np.clip(wanted, DRAW_STAKES[0], 1.0)).argmin(axis=0)
        with np.errstate(divide="ignore"):
            growth = np.log1p(np.maximum(DRAW_STAKES[chosen] * edges, -1.0)).sum(axis=0) + LOG_WEIGHTS[chosen]
        return float(special.logsumexp(growth)) - math.log(STAKES.size)

    return float(optimize.brentq(lambda mean: max(evidence(mean), -1e3) - target, losses.mean(), 1 - 1e-9, xtol=1e-9))


@pytest.mark.parametrize(("m", "n", "bits", "spread"), [(3701, 500, 100.0, 0.02), (74_057, 800, 3000.0, 0.01)])
def test_all_pairs_are_tighter_than_one_draw_stake_for_each_stake(m, n, bits, spread):
    """By a few thousandths of a bit at a width of 13; nowhere looser by more than the bisection rounds."""
    losses = np.random.default_rng(4).normal(0.3, spread, n)
    single, whole = one_draw_stake_each(losses, bits, m, 0.01), nested(losses, bits, m, 0.01)
    assert 0.002 < 13 * (single - whole) < 0.02
    spikes = np.repeat([0.0, 1.0], [n - 5, 5])
    assert nested(spikes, bits, m, 0.01) < one_draw_stake_each(spikes, bits, m, 0.01) + 2e-6


def test_top_k_errors_are_bounded_where_the_published_form_is_vacuous():
    errors = 0.65 + 0.03 * np.random.default_rng(0).standard_normal((DRAWS, 2))
    bounds = top_k_bounds(errors, (1, 5), DOCUMENTS, ledger_for(15_000.0), DELTA, INEQUALITIES)
    first = {bound.name: bound.value for bound in bounds[1]}
    assert set(bounds) == {1, 5}
    assert first["hoeffding"] == pytest.approx(
        hoeffding_occam_subsampled(errors[:, 0].mean(), 15_000.0, DOCUMENTS, DRAWS, DELTA)
    )
    assert 0.65 < first["nested_betting"] < 0.71 < 0.9 < first["hoeffding"]


def test_all_documents_scored_leave_no_subsampling_term():
    losses = np.random.default_rng(1).normal(4.0, 0.1, 2000)
    low, width = bpd_range(0.1, VOCABULARY)
    whole = LossSample(losses, low, width, 2000, drawn=False)
    of_all = {name: own for name, own in INEQUALITIES.items() if name != "nested_betting"}
    bounds = {bound.name: bound for bound in decomposed_bounds(whole, 100.0, DELTA, of_all)}
    assert list(bounds) == list(of_all)
    assert all(bound.subsampling == 0.0 < bound.complexity for bound in bounds.values())
    expected = low + width * betting_occam((losses - low) / width, 100.0, DELTA)
    assert bounds["betting"].value == pytest.approx(expected, abs=1e-4)
    many = np.random.default_rng(1).normal(4.0, 0.1, 20_000)
    exact = low + width * betting_occam((many - low) / width, 100.0, DELTA)
    on_grid = betting.LOSSES.whole(LossSample(many, low, width, 20_000, drawn=False), 100.0, DELTA)
    assert exact < on_grid < exact + width / 2**16 + 2e-5
    with pytest.raises(ValueError, match="nested_betting: expected losses of a drawn sample"):
        decomposed_bounds(whole, 100.0, DELTA, INEQUALITIES)
    with pytest.raises(ValueError, match="one for each of 3000"):
        LossSample(losses, low, width, 3000, drawn=False)
    with pytest.raises(ValueError, match="between"):
        LossSample(losses, 4.0, width, 2000)


WORLDS, BITS, RATE = 400, 40.0, 0.1


def fails_too_often(failures: np.ndarray) -> bool:
    return bool(stats.binom.sf(failures.sum() - 1, len(failures), RATE) < 1e-4)


def luckiest_share(true_share: float, examples: int) -> np.ndarray:
    """Share of bad examples, (WORLDS,), for the luckiest of 2^BITS hypotheses."""
    uniform = np.random.default_rng(17).random(WORLDS)
    return stats.binom.ppf(-np.expm1(np.log1p(-uniform) / 2.0**BITS), examples, true_share) / examples


@pytest.mark.parametrize("values", [(0.0, 1.0), (0.3, 0.7)])
def test_nested_betting_is_valid_and_caught_without_its_bits_or_its_draws(values):
    """An adversary fits m documents with 2^BITS hypotheses; the draws come afterwards."""
    low, high = values
    m, true_share = 2000, 0.4
    true_risk = low + (high - low) * true_share
    empirical = luckiest_share(true_share, m)

    def failures(bits: float, draws: int, seed: int) -> np.ndarray:
        bad = np.random.default_rng(seed).binomial(draws, empirical)
        value = {k: nested(np.repeat([low, high], [draws - k, k]), bits, m, RATE, tolerance=1e-5) for k in set(bad)}
        return np.array([value[k] for k in bad]) < true_risk

    assert not fails_too_often(failures(BITS, 4000, 7))
    assert fails_too_often(failures(0.0, 4000, 7))
    assert not fails_too_often(failures(BITS, 50, 8))
    few = np.random.default_rng(8).binomial(50, empirical)
    as_if_all = np.array(
        [betting_occam((low, high), BITS, RATE, (m - k * m // 50, k * m // 50), tolerance=1e-5) for k in few]
    )
    assert fails_too_often(as_if_all < true_risk)


def test_rare_large_losses_do_not_fool_nested_betting():
    """Most draws see no bad document at all; the few that the adversary's luck hides must be allowed for."""
    m, draws, true_risk = 4000, 100, 0.02
    empirical = luckiest_share(true_risk, m)
    bad = np.random.default_rng(9).binomial(draws, empirical)
    values = np.array([nested(np.repeat([0.0, 1.0], [draws - k, k]), BITS, m, RATE, tolerance=1e-5) for k in bad])
    assert not fails_too_often(values < true_risk)
    assert fails_too_often(bad / draws + np.sqrt(bad / draws**2) < true_risk)


def test_choosing_the_smoothing_on_the_draw_needs_its_share_of_delta():
    """Many smoothings of equal risk whose draws are independent: the smallest published value fails too often."""
    smoothings, m, draws = 64, 100_000, 40
    rng = np.random.default_rng(2)
    drawn = rng.binomial(draws, 0.5, (WORLDS, smoothings)).min(axis=1)
    ledger = Ledger().plus(smoothing_charge(range(smoothings)))

    def fails(bits: float, delta: float) -> np.ndarray:
        value = {k: hoeffding_occam_subsampled(k / draws, bits, m, draws, delta) for k in set(drawn)}
        return np.array([value[k] for k in drawn]) < 0.5

    assert fails_too_often(fails(ledger.code_bits, RATE))
    assert not fails_too_often(fails(0.0, RATE / smoothings))


@pytest.mark.parametrize("bound", [hoeffding_occam_subsampled, nested], ids=["hoeffding", "nested_betting"])
def test_quoting_the_best_of_many_models_needs_their_share_of_delta_in_both_steps(bound):
    """Models of equal risk, scored on draws of their own: bits alone pay for the step to new documents only."""
    models, m, draws = 2**20, 100_000, 100
    uniform = np.random.default_rng(6).random(WORLDS)
    drawn = stats.binom.ppf(-np.expm1(np.log1p(-uniform) / models), draws, 0.5).astype(int)

    def quoted(bad: int, bits: float, delta: float) -> float:
        if bound is nested:
            return nested(np.repeat([0.0, 1.0], [draws - bad, bad]), bits, m, delta, tolerance=1e-5)
        return hoeffding_occam_subsampled(bad / draws, bits, m, draws, delta)

    def fails(bits: float, delta: float) -> np.ndarray:
        value = {bad: quoted(bad, bits, delta) for bad in set(drawn)}
        return np.array([value[bad] for bad in drawn]) < 0.5

    assert fails_too_often(fails(math.log2(models), RATE))
    assert not fails_too_often(fails(0.0, RATE / models))
