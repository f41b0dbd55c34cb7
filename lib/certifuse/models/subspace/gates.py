"""Learned splits: which directions of a group steer its B and which its A.

Shapes: G groups, d coordinates of w, c lanes. A lane is one coordinate on its way to one of the two matrices: every
coordinate has a lane to B and a lane to A (but for those that a matrix has no room for), of weights m and 1 - m.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from certifuse.models.subspace.budget_splits import BudgetSplits, GroupBudget
from certifuse.study.settings.language_models import AllocationSettings

SOFT = -1
"""What stands in `splits_G` as long as a group's split is not fixed."""


def soft_mask(position_d: Tensor, index_d: Tensor, tau: Tensor | float) -> Tensor:
    """m_i = sigmoid((position - i - 1/2) / tau), position = gamma_l d_l: about 1 below the position, 0 above."""
    return torch.sigmoid((position_d - index_d - 0.5) / tau)


def hard_mask(split_d: Tensor, index_d: Tensor) -> Tensor:
    """1 for the first k_l coordinates of a group, 0 for the others: the limit of `soft_mask` as tau goes to 0."""
    return (index_d < split_d).float()


def temperature(progress: float, settings: AllocationSettings) -> float:
    """tau after a share of the training: geometric from `tau_start` to `tau_end`, which it reaches at `harden_at`."""
    start, end = settings.tau_start, settings.tau_end
    return float(start * (end / start) ** min(1.0, progress / settings.harden_at))


class Gates(nn.Module):
    """The masks of all groups, as a map from w to lanes: for every group its lanes to B, then its lanes to A.

    gamma_l d_l = lowest + (highest - lowest) sigmoid(g_l), which is sigmoid(g_l) d_l unless d is near D, and g = 0 at
    the start: gamma = 1/2. Soft masks exist in training mode only. In evaluation mode, and for good after `harden`,
    the masks are hard, k_l = round(gamma_l d_l): a soft model cannot be evaluated. Splits and tau are buffers, so a
    resumed run goes on with them.
    """

    splits_G: Tensor
    tau: Tensor
    lowest_G: Tensor
    highest_G: Tensor
    group_d: Tensor
    index_d: Tensor
    source_c: Tensor
    to_b_c: Tensor

    def __init__(self, budgets: Sequence[GroupBudget], settings: AllocationSettings) -> None:
        super().__init__()
        self.budgets, self.settings = tuple(budgets), settings
        self.g_G = nn.Parameter(torch.zeros(len(budgets)))
        self.register_buffer("splits_G", torch.full((len(budgets),), SOFT))
        self.register_buffer("tau", torch.tensor(settings.tau_start))
        for name, constant in _constants(self.budgets).items():
            self.register_buffer(name, constant, persistent=False)

    def forward(self, w_d: Tensor) -> Tensor:
        """The lanes (c,) of w (d,), differentiable in w and, where the masks are soft, in g."""
        mask_c = self.masks()[self.source_c]
        return w_d[self.source_c] * torch.where(self.to_b_c, mask_c, 1.0 - mask_c)

    def positions(self) -> Tensor:
        """gamma_l d_l, (G,): k_l where the split is fixed."""
        learned_G = self.lowest_G + (self.highest_G - self.lowest_G) * torch.sigmoid(self.g_G)
        return torch.where(self.splits_G == SOFT, learned_G, self.splits_G.float())

    def masks(self) -> Tensor:
        """m, (d,): the weight of each coordinate's way to B."""
        position_d = self.positions()[self.group_d]
        hard_d = hard_mask(position_d.detach().round(), self.index_d)
        if not self.training:
            return hard_d
        soft_d = soft_mask(position_d, self.index_d, self.tau)
        return torch.where((self.splits_G == SOFT)[self.group_d], soft_d, hard_d)

    @torch.no_grad()
    def anneal(self, progress: float) -> None:
        """Set tau for a share of the training; from `harden_at` on, harden."""
        self.tau.fill_(temperature(progress, self.settings))
        if progress >= self.settings.harden_at:
            self.harden()

    @torch.no_grad()
    def harden(self) -> None:
        """Fix k_l = round(gamma_l d_l) for every group."""
        self.splits_G.copy_(self.positions().round().long())

    @torch.no_grad()
    def fix_splits(self, splits: BudgetSplits) -> None:
        """Fix given splits. ValueError where they do not fit the groups."""
        ranges = [(budget.lowest, budget.highest) for budget in self.budgets]
        if len(splits) != len(ranges) or not all(
            low <= k <= high for k, (low, high) in zip(splits, ranges, strict=True)
        ):
            raise ValueError(f"splits: expected whole numbers in {ranges}, one per group, got {splits}")
        self.splits_G.copy_(torch.tensor(splits))

    @property
    def is_hard(self) -> bool:
        """True once the splits are fixed."""
        return bool((self.splits_G != SOFT).all())

    @property
    def splits(self) -> BudgetSplits:
        """The fixed splits, k_l for each group."""
        assert self.is_hard, "the splits are not fixed yet: harden the gates first"
        return tuple(self.splits_G.tolist())


def _constants(budgets: Sequence[GroupBudget]) -> dict[str, Tensor]:
    """The group of each coordinate and its place there; coordinate and matrix of each lane; ranges of k_l."""
    group: list[int] = []
    index: list[int] = []
    source: list[int] = []
    to_b: list[bool] = []
    start = 0
    for number, budget in enumerate(budgets):
        d = budget.directions
        group += [number] * d
        index += range(d)
        reached_by_b, reached_by_a = range(start, start + budget.highest), range(start + budget.lowest, start + d)
        source += [*reached_by_b, *reached_by_a]
        to_b += [True] * len(reached_by_b) + [False] * len(reached_by_a)
        start += d
    return {
        "lowest_G": torch.tensor([float(budget.lowest) for budget in budgets]),
        "highest_G": torch.tensor([float(budget.highest) for budget in budgets]),
        "group_d": torch.tensor(group),
        "index_d": torch.tensor(index, dtype=torch.float32),
        "source_c": torch.tensor(source),
        "to_b_c": torch.tensor(to_b),
    }
