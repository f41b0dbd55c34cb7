"""A language model in a subspace whose budget d is allocated to its weights in one of several modes.

Shapes: d coordinates of w, D weights of theta, G groups (each layer, and the head).

| mode             | coordinates of w, in this order                               |
|------------------|---------------------------------------------------------------|
| `uniform`        | d for all LoRA weights together                               |
| `fixed`          | d_B = round(ratio d) for all B, then d - d_B for all A        |
| `proportional`   | as `fixed`, with the share of B among the LoRA weights        |
| `learned`        | group after group: k_l for the B of it, then d_l - k_l for A  |
| `lora_only`      | theta - theta0 itself, in the order of `named_parameters`     |
| `subspace_only`  | d for all weights of a network without LoRA                   |

Every mode starts at w = 0, and every projector has a random stream of its own (mode, group, matrix).
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from certifuse.base.errors import UserError
from certifuse.base.records import Fraction, Index, Settings
from certifuse.models.language.gpt2 import Gpt2
from certifuse.models.subspace.budget_splits import BudgetSplits, GroupBudget
from certifuse.models.subspace.gates import Gates
from certifuse.models.subspace.projectors import Projector
from certifuse.models.subspace.reparametrisation import SubspaceNetwork
from certifuse.study.settings.language_models import AllocationMode


class Structure(Settings):
    """Facts of an allocation that a decoder needs beside d: mode, ratio (`fixed`), splits k_l (`learned`)."""

    mode: AllocationMode
    ratio: Fraction | None = None
    splits: tuple[Index, ...] = ()


class AllocatedNetwork(SubspaceNetwork):
    """A GPT-2 at theta0 + P w. Trained are `w` and, in mode `learned`, `gating.g_G` (without weight decay).

    In evaluation mode the gates are hard. The base weights are frozen and never copied. Projections are in single
    precision under autocast too. Built by `certifuse.models.subspace.modes.allocate`.
    """

    network: Gpt2

    def __init__(
        self,
        network: Gpt2,
        projector: Projector,
        structure: Structure,
        directions: Mapping[str, int],
        gates: Gates | None,
    ) -> None:
        super().__init__(network, projector)
        self.gating = gates
        self._structure, self._directions = structure, dict(directions)
        if gates is not None:
            gates.to(self.w.device)
            self.w = nn.Parameter(self.w.new_zeros(len(gates.index_d)))

    def parameters_at(self, w_d: Tensor) -> dict[str, Tensor]:
        """Name to theta0 + P w for every displaced parameter, differentiable in `w_d` and in the gates."""
        return super().parameters_at(w_d if self.gating is None else self.gating(w_d))

    def anneal(self, progress: float) -> None:
        """Before a step, with the share of the training that is done: narrows the gates, and hardens them in time."""
        if self.gating is not None:
            self.gating.anneal(progress)

    def fix_splits(self, splits: BudgetSplits) -> None:
        """Harden at given splits: those of another run, to train again, or a null of `budget_splits`."""
        assert self.gating is not None, "only mode learned has splits"
        self.gating.fix_splits(splits)

    @property
    def budgets(self) -> tuple[GroupBudget, ...]:
        """The groups of mode `learned`, with their shares of the budget; empty in the other modes."""
        return () if self.gating is None else self.gating.budgets

    @torch.no_grad()
    def network_at(self, w_d: Tensor) -> Gpt2:
        """A network with theta0 + P w written into it, in evaluation mode. Weights that w cannot move are shared."""
        self._check_hard()
        moved = self.parameters_at(w_d)
        memo: dict[int, Any] = {id(parameter): parameter for parameter in self.network.parameters()}
        for name, value in moved.items():
            memo[id(self.network.get_parameter(name))] = nn.Parameter(value, requires_grad=False)
        return copy.deepcopy(self.network, memo).eval()

    @property
    def vector(self) -> Tensor:
        """w, (d,), detached: the numbers to be quantised and coded. Only once the gates are hard."""
        self._check_hard()
        return self.w.detach()

    @property
    def structure(self) -> Structure:
        """The structure that is coded beside w. Only once the gates are hard."""
        self._check_hard()
        splits = () if self.gating is None else self.gating.splits
        return self._structure.model_copy(update={"splits": splits})

    @torch.no_grad()
    def restore(self, structure: Structure, w_d: Tensor) -> None:
        """Put a decoded structure and vector in. UserError where they are not of this model."""
        own = (self._structure.mode, self._structure.ratio)
        if (structure.mode, structure.ratio) != own or bool(structure.splits) != (self.gating is not None):
            raise UserError(f"allocation: expected mode and ratio {own}, found {structure.plain()}")
        if w_d.shape != self.w.shape:
            raise UserError(f"allocation: expected {len(self.w)} numbers, found shape {tuple(w_d.shape)}")
        if self.gating is not None:
            try:
                self.gating.fix_splits(structure.splits)
            except ValueError as error:
                raise UserError(f"allocation: {error}") from None
        self.w.copy_(w_d)

    def effective_directions(self) -> dict[str, int]:
        """Independent directions of theta that w steers: `joint`, or those of `A` and of `B`. They add up to d."""
        if self.gating is None:
            return dict(self._directions)
        steering_b = sum(int(position) for position in self.gating.positions().round().tolist())
        return {"A": len(self.w) - steering_b, "B": steering_b}

    def gates(self) -> dict[str, float]:
        """gamma_l by group: k_l / d_l once the gates are hard. Empty in the modes without gates."""
        if self.gating is None:
            return {}
        pairs = zip(self.budgets, self.gating.positions().tolist(), strict=True)
        return {budget.name: position / budget.directions for budget, position in pairs}

    def trained_state(self) -> dict[str, Tensor]:
        """The tensors that training changes, live: w, and g, splits and tau of the gates. The seed gives the rest."""
        state = self.state_dict()
        return {name: tensor for name, tensor in state.items() if name == "w" or name.startswith("gating.")}

    def restore_trained_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `trained_state` gave. ValueError for other names."""
        if set(state) != set(self.trained_state()):
            raise ValueError(f"state: expected {sorted(self.trained_state())}, got {sorted(state)}")
        self.load_state_dict(dict(state), strict=False)

    def _check_hard(self) -> None:
        assert self.gating is None or self.gating.is_hard, "the gates are soft: harden them before coding or evaluation"
