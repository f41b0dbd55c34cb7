"""A language model in a subspace: its start, which a seed gives, and its trained numbers as a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from certifuse.base.digests import canonical_json
from certifuse.base.errors import UserError
from certifuse.base.tensors import read_sealed, write_sealed
from certifuse.models.subspace.allocation import AllocatedNetwork, Structure
from certifuse.models.subspace.modes import build_sublora
from certifuse.study.cells import SubloraCell
from certifuse.study.settings.language_models import AllocationSettings, LanguageModelSettings

KIND = "trained numbers of a language model in a subspace"


@dataclass(frozen=True)
class TrainedVector:
    """w, (d,), float32 before any quantisation, what its coordinates steer, and which training it is from."""

    w_d: Tensor
    structure: Structure
    cell: SubloraCell
    levels: int | None


def network_at_start(
    model: LanguageModelSettings,
    allocation: AllocationSettings,
    cell: SubloraCell,
    vocabulary: int,
    device: torch.device | str = "cpu",
) -> AllocatedNetwork:
    """theta0 with its projectors, at w = 0; `vocabulary` counts the rows of the input embedding.

    UserError where the budget does not fit the network.
    """
    budget = None if allocation.mode == "lora_only" else cell.d
    network = build_sublora(model, allocation, vocabulary=vocabulary, budget=budget, seed=cell.seed, device=device)
    if len(network.w) != cell.d:
        raise UserError(f"d: expected {len(network.w)} for mode {cell.mode}, found {cell.d}: take it from the study")
    return network


def save_vector(path: Path, trained: TrainedVector) -> None:
    """Write the numbers, sealed."""
    facts: dict[str, Any] = {"structure": trained.structure.plain(), "levels": trained.levels}
    facts |= trained.cell.names()
    write_sealed(path, KIND, {"w": trained.w_d.float()}, facts)


def load_vector(path: Path) -> TrainedVector:
    """Read them back. UserError for a file that is absent, damaged or another one."""
    tensors, facts = read_sealed(path, KIND)
    cell = SubloraCell(facts["d"], facts["mode"], facts["seed"])
    structure = Structure.from_json(canonical_json(facts["structure"]))
    return TrainedVector(tensors["w"], structure, cell, facts["levels"])
