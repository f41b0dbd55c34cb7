"""Division of a budget of d directions: among groups of weights, and within a group between its A and its B."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from certifuse.base.errors import UserError
from certifuse.base.randomness import numpy_stream

BudgetSplits = tuple[int, ...]
"""k_l for each group: how many of its directions steer B; the others steer A."""


@dataclass(frozen=True)
class GroupBudget:
    """The d_l directions of one group, and the numbers of weights that they may steer."""

    name: str
    directions: int
    a_weights: int
    b_weights: int

    @property
    def lowest(self) -> int:
        """The least k_l: A has no room for more than its own number of directions. Zero unless d is near D."""
        return max(0, self.directions - self.a_weights)

    @property
    def highest(self) -> int:
        """The largest k_l: d_l unless d is near D."""
        return min(self.directions, self.b_weights)

    @property
    def choices(self) -> int:
        """The number of splits: d_l + 1 unless d is near D."""
        return self.highest - self.lowest + 1


def share_budget(budget: int, sizes: Sequence[int]) -> tuple[int, ...]:
    """d_l in proportion to the numbers of weights, at least 1 each, by largest remainders; the earlier wins a tie.

    Groups whose share is below one direction get one, and the rest is divided among the others. UserError where the
    budget is below one per group or above the number of weights.
    """
    if not len(sizes) <= budget <= sum(sizes):
        raise UserError(
            f"budget: expected between {len(sizes)} (one direction per group) and {sum(sizes)} (the number of "
            f"weights), found {budget}"
        )
    wide = list(range(len(sizes)))
    while True:
        left, total = budget - (len(sizes) - len(wide)), sum(sizes[group] for group in wide)
        kept = [group for group in wide if left * sizes[group] >= total]
        if len(kept) == len(wide):
            break
        wide = kept
    shares = [1] * len(sizes)
    for group in wide:
        shares[group] = left * sizes[group] // total
    by_remainder = sorted(wide, key=lambda group: -(left * sizes[group] % total))
    for group in by_remainder[: budget - sum(shares)]:
        shares[group] += 1
    return tuple(shares)


def random_splits(budgets: Sequence[GroupBudget], seed: int) -> BudgetSplits:
    """Null for learned splits: gates that are drawn, k_l uniform among the choices of its group, and not trained."""
    stream = numpy_stream(seed, "allocation", "random splits")
    return tuple(int(stream.integers(budget.lowest, budget.highest + 1)) for budget in budgets)


def permuted_splits(budgets: Sequence[GroupBudget], splits: BudgetSplits, seed: int) -> BudgetSplits:
    """Null for learned splits: the shares k_l / d_l of the layers (all groups but the last) in another order.

    A derangement: no layer keeps its own. The head, the last group, keeps its split. ValueError for a single layer.
    """
    layers = len(budgets) - 1
    if layers < 2:
        raise ValueError(f"permuted splits: expected at least two layers, got {layers}")
    stream = numpy_stream(seed, "allocation", "permuted splits")
    order = stream.permutation(layers)
    while (order == np.arange(layers)).any():
        order = stream.permutation(layers)
    moved = [
        min(max(round(splits[source] / budgets[source].directions * own.directions), own.lowest), own.highest)
        for source, own in zip(order, budgets[:-1], strict=True)
    ]
    return (*moved, splits[-1])
