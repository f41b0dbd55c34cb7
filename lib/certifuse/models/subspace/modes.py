"""The allocation modes: from a network, a budget and a seed to an `AllocatedNetwork`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from certifuse.base.errors import UserError
from certifuse.base.randomness import derive_seed
from certifuse.models.language.gpt2 import Gpt2, build_gpt2
from certifuse.models.language.lora import LoraGroup, add_lora
from certifuse.models.subspace.allocation import AllocatedNetwork, Structure
from certifuse.models.subspace.block_projector import BlockProjector, build_projector, places_of, trainable_layout
from certifuse.models.subspace.budget_splits import GroupBudget, share_budget
from certifuse.models.subspace.gates import Gates
from certifuse.models.subspace.projectors import IdentityProjector, Projector
from certifuse.study.settings.language_models import AllocationMode, AllocationSettings, LanguageModelSettings


def build_sublora(
    model: LanguageModelSettings,
    allocation: AllocationSettings,
    *,
    vocabulary: int,
    budget: int | None,
    seed: int,
    device: torch.device | str = "cpu",
) -> AllocatedNetwork:
    """The model at its start, for training and for decoding alike: theta0, LoRA and P are functions of these values.

    `budget` is d, and None for `lora_only`. UserError for a budget that does not fit the network, or a network that
    does not fit this machine.
    """
    network = build_gpt2(model, vocabulary, seed)
    groups = () if allocation.mode == "subspace_only" else add_lora(network, model.lora, seed)
    return allocate(network.to(device), groups, allocation, budget, seed)


def allocate(
    network: Gpt2,
    groups: Sequence[LoraGroup],
    settings: AllocationSettings,
    budget: int | None,
    seed: int,
) -> AllocatedNetwork:
    """See `build_sublora`; the network has its LoRA weights, of `groups`, and is on its device."""
    if (budget is None) != (settings.mode == "lora_only"):
        raise ValueError(f"allocation: expected a budget, but none for lora_only; got {settings.mode} and {budget}")
    return MODES[settings.mode](_Parts(network, tuple(groups), settings, budget or 0, seed))


@dataclass(frozen=True)
class _Parts:
    network: Gpt2
    groups: tuple[LoraGroup, ...]
    settings: AllocationSettings
    budget: int
    seed: int

    @cached_property
    def layout(self) -> dict[str, range]:
        return trainable_layout(self.network)

    @property
    def weights(self) -> int:
        return sum(map(len, self.layout.values()))

    @property
    def device(self) -> torch.device:
        return self.network.token_embedding.weight.device

    def count(self, names: Sequence[str]) -> int:
        return sum(len(self.layout[name]) for name in names)

    def projector(self, directions: int, weights: int, *purpose: str) -> Projector:
        seed = derive_seed(self.seed, "allocation", *purpose)
        return build_projector(self.settings.projector, directions, weights, seed, self.device)

    def block(self, directions: int, names: Sequence[str], *purpose: str) -> tuple[Projector, Tensor]:
        places = places_of(self.layout, names, self.device)
        return self.projector(directions, len(places), *purpose), places

    def structure(self) -> Structure:
        return Structure(mode=self.settings.mode, ratio=self.settings.ratio)


def _joint(parts: _Parts) -> AllocatedNetwork:
    _check_fits(parts.budget, parts.weights, "weights")
    projector = parts.projector(parts.budget, parts.weights, parts.settings.mode)
    return AllocatedNetwork(parts.network, projector, parts.structure(), {"joint": parts.budget}, None)


def _lora_only(parts: _Parts) -> AllocatedNetwork:
    projector = IdentityProjector(parts.weights, parts.device)
    return AllocatedNetwork(parts.network, projector, parts.structure(), {"joint": parts.weights}, None)


def _fixed(parts: _Parts) -> AllocatedNetwork:
    names = {
        "B": [name for group in parts.groups for name in group.b_names],
        "A": [name for group in parts.groups for name in group.a_names],
    }
    ratio = parts.settings.ratio
    ratio = parts.count(names["B"]) / parts.weights if ratio is None else ratio
    steering_b = round(ratio * parts.budget)
    directions = {"B": steering_b, "A": parts.budget - steering_b}
    for matrix, own in directions.items():
        _check_fits(own, parts.count(names[matrix]), f"weights of {matrix}")
    blocks = [parts.block(own, names[matrix], "fixed", matrix) for matrix, own in directions.items() if own]
    projector = BlockProjector(blocks, parts.weights)
    return AllocatedNetwork(parts.network, projector, parts.structure(), directions, None)


def _learned(parts: _Parts) -> AllocatedNetwork:
    budgets, blocks = group_budgets(parts.network, parts.groups, parts.budget), []
    for group, budget in zip(parts.groups, budgets, strict=True):
        blocks.append(parts.block(budget.highest, group.b_names, group.name, "B"))
        blocks.append(parts.block(budget.directions - budget.lowest, group.a_names, group.name, "A"))
    gates = Gates(budgets, parts.settings)
    projector = BlockProjector(blocks, parts.weights)
    return AllocatedNetwork(parts.network, projector, parts.structure(), {}, gates)


def group_budgets(network: Gpt2, groups: Sequence[LoraGroup], budget: int) -> tuple[GroupBudget, ...]:
    """d_l of every group of mode `learned`, in proportion to its LoRA weights (`share_budget`)."""
    layout = trainable_layout(network)
    sizes = [tuple(sum(len(layout[name]) for name in names) for names in (g.a_names, g.b_names)) for g in groups]
    shares = share_budget(budget, [a + b for a, b in sizes])
    return tuple(GroupBudget(g.name, own, a, b) for g, own, (a, b) in zip(groups, shares, sizes, strict=True))


def _check_fits(directions: int, weights: int, which: str) -> None:
    if not 0 <= directions <= weights:
        raise UserError(f"budget: expected at most {weights} directions for as many {which}, found {directions}")


MODES: dict[AllocationMode, Callable[[_Parts], AllocatedNetwork]] = {
    "uniform": _joint,
    "fixed": _fixed,
    "proportional": _fixed,
    "learned": _learned,
    "lora_only": _lora_only,
    "subspace_only": _joint,
}
