"""Shares of a budget against brute force and hand counts, masks against formulas, the nulls."""

import math
from itertools import product

import pytest
import torch

from certifuse.base.errors import UserError
from certifuse.models.subspace.budget_splits import GroupBudget, permuted_splits, random_splits, share_budget
from certifuse.models.subspace.gates import Gates, hard_mask, soft_mask, temperature
from certifuse.study.settings.language_models import AllocationSettings

# GPT-2 small: twelve layers, and the head.
SIZES = [12_288] * 12 + [204_288]


def test_shares_by_hand():
    assert share_budget(1000, SIZES) == (35,) * 12 + (580,)
    assert share_budget(7, [9, 9, 9]) == (3, 2, 2)
    assert share_budget(10, [1, 1, 98]) == (1, 1, 8)
    assert share_budget(3, [5, 1, 900]) == (1, 1, 1)
    assert share_budget(6, [1, 2, 3]) == (1, 2, 3)


def test_shares_by_brute_force():
    """Largest remainders minimise the sum of squared deviations from the exact shares."""
    sizes = [50, 31, 12, 87]
    for budget in range(16, 24):
        exact = [budget * size / sum(sizes) for size in sizes]
        assert min(exact) >= 1
        candidates = [c for c in product(range(1, budget), repeat=4) if sum(c) == budget]
        best = min(candidates, key=lambda c: sum((k - share) ** 2 for k, share in zip(c, exact, strict=True)))
        assert share_budget(budget, sizes) == best


@pytest.mark.parametrize("sizes", [[3, 400, 1, 17], SIZES, [2, 2, 2]])
def test_shares_add_up_and_fit(sizes):
    for budget in {len(sizes), len(sizes) + 1, sum(sizes) // 3 + len(sizes), sum(sizes) - 1, sum(sizes)}:
        if budget > sum(sizes):
            continue
        shares = share_budget(budget, sizes)
        assert sum(shares) == budget
        assert all(1 <= share <= size for share, size in zip(shares, sizes, strict=True))


@pytest.mark.parametrize("budget", [2, 8])
def test_budgets_that_do_not_fit(budget):
    with pytest.raises(UserError, match=f"between 3 .* and 7 .* found {budget}"):
        share_budget(budget, [1, 2, 4])


# ---- masks ---------------------------------------------------------------------------------------


def test_masks_by_formula():
    index = torch.arange(6.0)
    found = soft_mask(torch.tensor(2.3), index, 0.7)
    expected = [1 / (1 + math.exp(-(2.3 - i - 0.5) / 0.7)) for i in range(6)]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)
    assert hard_mask(torch.tensor(2), index).tolist() == [1, 1, 0, 0, 0, 0]


def test_hard_masks_are_the_limit_of_soft_ones():
    index = torch.arange(9.0)
    for position in (0.0, 0.2, 1.7, 4.4, 8.6, 9.0):
        hard = hard_mask(torch.tensor(round(position)), index)
        distances = [
            float((soft_mask(torch.tensor(position), index, tau) - hard).abs().max()) for tau in (1, 0.1, 1e-3)
        ]
        assert distances[0] > distances[1] > distances[2]
        assert distances[2] < 1e-6


def test_temperature():
    settings = AllocationSettings(mode="learned", tau_start=8.0, tau_end=0.5, harden_at=0.4)
    found = [temperature(progress, settings) for progress in (0.0, 0.1, 0.2, 0.3, 0.4, 0.9)]
    assert found == pytest.approx([8.0, 4.0, 2.0, 1.0, 0.5, 0.5])


# ---- a group whose A is small: 25 directions for 16 weights of A and 26 of B ----------------------

TIGHT = GroupBudget("head", 25, a_weights=16, b_weights=26)
ROOMY = GroupBudget("layer_0", 4, a_weights=32, b_weights=32)


def test_splits_have_room():
    assert (TIGHT.lowest, TIGHT.highest, TIGHT.choices) == (9, 25, 17)
    assert (ROOMY.lowest, ROOMY.highest, ROOMY.choices) == (0, 4, 5)
    gates = Gates((ROOMY, TIGHT), AllocationSettings(mode="learned"))
    assert gates(torch.ones(29)).shape == (4 + 4 + 25 + 16,)
    for logit, splits in ((-20.0, (0, 9)), (0.0, (2, 17)), (20.0, (4, 25))):
        with torch.no_grad():
            gates.g_G.fill_(logit)
        assert torch.equal(gates.eval().positions().round().int(), torch.tensor(splits, dtype=torch.int32))
    gates.fix_splits((1, 10))
    lanes = gates(torch.arange(1.0, 30.0))
    to_b, to_a = torch.cat([lanes[:4], lanes[8:33]]), torch.cat([lanes[4:8], lanes[33:]])
    assert to_b[to_b != 0].tolist() == [1, *range(5, 15)]
    assert to_a[to_a != 0].tolist() == [2, 3, 4, *range(15, 30)]
    for refused in ((1, 8), (5, 10), (1, 26), (1,), (1, 10, 3)):
        with pytest.raises(ValueError, match="one per group"):
            gates.fix_splits(refused)


# ---- nulls ---------------------------------------------------------------------------------------


def test_random_splits_are_uniform_among_the_choices():
    budgets = (*[GroupBudget(f"layer_{i}", 4, 32, 32) for i in range(3000)], TIGHT)
    splits = random_splits(budgets, seed=0)
    counts = torch.bincount(torch.tensor(splits[:-1]), minlength=5)
    assert len(counts) == 5
    assert all(abs(count - 600) < 110 for count in counts.tolist()), "five standard deviations"
    assert 9 <= splits[-1] <= 25
    assert random_splits(budgets, seed=0) == splits != random_splits(budgets, seed=1)


def test_permuted_splits_are_a_derangement_of_the_layers():
    budgets = (*[GroupBudget(f"layer_{i}", 35, 6144, 6144) for i in range(12)], TIGHT)
    splits = (*range(3, 27, 2), 11)
    permuted = permuted_splits(budgets, splits, seed=0)
    assert sorted(permuted[:-1]) == sorted(splits[:-1])
    assert all(one != other for one, other in zip(permuted[:-1], splits[:-1], strict=True))
    assert permuted[-1] == 11
    assert permuted_splits(budgets, splits, seed=0) == permuted != permuted_splits(budgets, splits, seed=1)


def test_permuted_splits_keep_shares_where_budgets_differ():
    budgets = (GroupBudget("layer_0", 8, 32, 32), GroupBudget("layer_1", 7, 32, 32), TIGHT)
    assert permuted_splits(budgets, (8, 0, 9), seed=0) == (0, 7, 9)
    with pytest.raises(ValueError, match="at least two layers, got 1"):
        permuted_splits(budgets[1:], (0, 9), seed=0)
