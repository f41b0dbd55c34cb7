"""The martingale claim: right for the contexts that were seen, silent about new documents, void without its bits."""

import math

import numpy as np
import pytest
from scipy import stats

from certifuse.evaluation.bounds.documents import smoothing_charge
from certifuse.evaluation.bounds.evidence import LossSample, bpd_range
from certifuse.evaluation.bounds.ledger import Charge, Ledger
from certifuse.evaluation.bounds.token_level import azuma_betting_occam, azuma_occam, token_level_bounds
from certifuse.evaluation.language.subsample import draw_documents_by_length

DELTA, WORLDS, TOKENS, HYPOTHESES = 0.1, 300, 400, 64
BITS = math.log2(HYPOTHESES)


def fails_too_often(failures: np.ndarray) -> bool:
    return bool(stats.binom.sf(failures.sum() - 1, len(failures), DELTA) < 1e-4)


def dependent_losses(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Zero-one losses (WORLDS, HYPOTHESES, TOKENS) whose probability depends on all losses before, and that."""
    rng = np.random.default_rng(seed)
    losses = np.zeros((WORLDS, HYPOTHESES, TOKENS))
    conditional = np.empty_like(losses)
    memory = np.full((WORLDS, HYPOTHESES), 0.5)
    for i in range(TOKENS):
        conditional[:, :, i] = 0.2 + 0.6 * memory
        losses[:, :, i] = rng.random(memory.shape) < conditional[:, :, i]
        memory += 0.1 * (losses[:, :, i] - memory)
    return losses, conditional


def value_for(losses: np.ndarray, bits: float, bound=azuma_occam, tokens: int = TOKENS) -> float:
    drawn = losses.size != tokens or bound is azuma_betting_occam
    return bound(LossSample(losses, 0.0, 1.0, tokens, drawn), bits, DELTA).value


@pytest.fixture(scope="module")
def fitted():
    """The losses (WORLDS, TOKENS) of the hypothesis that looks best in each world, and its conditional risk."""
    losses, conditional = dependent_losses(0)
    best = (losses.mean(2) - conditional.mean(2)).argmin(1)
    return losses[np.arange(WORLDS), best], conditional[np.arange(WORLDS), best].mean(1)


def test_valid_at_the_contexts_seen_and_caught_without_its_bits(fitted):
    losses, risk = fitted
    assert not fails_too_often(np.array([value_for(row, BITS) for row in losses]) < risk)
    assert fails_too_often(np.array([value_for(row, 0.0) for row in losses]) < risk)


@pytest.mark.parametrize("bound", [azuma_occam, azuma_betting_occam])
def test_valid_from_draws_and_caught_when_draws_pass_for_all_tokens(fitted, bound):
    losses, risk = fitted
    picked = np.random.default_rng(1).integers(TOKENS, size=(WORLDS, 60))
    drawn = np.take_along_axis(losses, picked, axis=1)
    assert not fails_too_often(np.array([value_for(row, BITS, bound) for row in drawn]) < risk)
    repeated = np.concatenate([np.repeat(drawn, 6, axis=1), drawn[:, :40]], axis=1)  # 60 draws made to look like 400
    assert fails_too_often(np.array([value_for(row, 0.0) for row in repeated]) < risk)


def test_it_is_no_bound_on_new_documents():
    """Twenty documents, each easy or hard throughout: the contexts tell which, a new document is either."""
    rng = np.random.default_rng(2)
    hard = rng.random((WORLDS, 20)) < 0.5
    conditional = np.repeat(np.where(hard, 0.9, 0.1), 200, axis=1)
    losses = (rng.random(conditional.shape) < conditional).astype(float)
    values = np.array([value_for(row, 0.0, tokens=4000) for row in losses])
    assert not fails_too_often(values < conditional.mean(1))
    assert fails_too_often(values < 0.5)


def test_draws_by_length_see_the_mean_over_tokens():
    lengths, losses = np.array([1, 10, 100]), np.array([8.0, 4.0, 2.0])
    draw = draw_documents_by_length(lengths, 50_000, frozen="any")
    assert losses[draw.drawn].mean() == pytest.approx(float(losses @ lengths) / 111, abs=0.01)
    assert losses.mean() > 4.6


def smallest(bounds, name):
    """The bound of this name under the smoothing with the smallest value."""
    return min((own for own in bounds if own.bound.name == name), key=lambda own: own.bound.value)


def test_formulas_and_the_price_of_the_smoothing():
    losses = np.random.default_rng(0).normal(4.0, 0.1, (5000, 2))
    tokens, alphas, vocabulary, bits = 97_000_000, (0.1, 0.5), 256, 3600.0
    ledger = Ledger((Charge("symbols", bits),)).plus(smoothing_charge(alphas))
    bounds = token_level_bounds(losses, alphas, vocabulary, tokens, ledger, 0.05)
    width, share = bpd_range(0.1, vocabulary).width, 5000 / (5000 + tokens)
    nats = (bits + 1.0) * math.log(2) - math.log(share * 0.05)
    complexity = width * math.sqrt(nats / (2 * tokens))
    subsampling = width * math.sqrt(-math.log((1 - share) * 0.05) / 10_000)
    published = bounds[0].bound
    assert published.value == pytest.approx(losses[:, 0].mean() + complexity + subsampling, rel=1e-12)
    assert published.subsampling == pytest.approx(subsampling, rel=1e-9)
    best = {name: smallest(bounds, name) for name in ("published", "azuma", "azuma_betting")}
    assert [own.bound.name for own in bounds] == 2 * list(best)
    assert best["azuma_betting"].bound.complexity == pytest.approx(best["azuma"].bound.complexity)
    assert best["azuma_betting"].bound.subsampling < 0.1 * best["azuma"].bound.subsampling
    assert best["azuma_betting"].bound.complexity < 0.05
    with pytest.raises(ValueError, match="smoothing alpha"):
        token_level_bounds(losses, alphas, vocabulary, tokens, Ledger(), 0.05)
