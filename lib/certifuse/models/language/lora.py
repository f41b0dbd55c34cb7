"""LoRA on the query and value of every layer and on the head: W = W0 + (alpha / r) B A, with W0 frozen.

Hu et al. 2021, arXiv 2106.09685; the choice of layers is that of SubLoRA (Lotfi et al. 2024, arXiv 2312.17173).

Shapes: N sequences, T tokens, I inputs, O outputs, r rank.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from certifuse.base.randomness import numpy_stream
from certifuse.models.language.gpt2 import EVERY_TOKEN, Gpt2
from certifuse.study.settings.language_models import LoraSettings

HEAD = "head"
ADAPTED_IN_ATTENTION = ("query", "value")


@dataclass(frozen=True)
class LoraGroup:
    """The LoRA parameters of one layer, or of the head, by their names in the network."""

    name: str
    a_names: tuple[str, ...]
    b_names: tuple[str, ...]


class LoraLinear(nn.Module):
    """`W0 x + (alpha / r) B A dropout(x)`, without ever forming B A. A (r, I) is as `start_rI` gives it, B is zero.

    Dropout is a registered submodule, so that `eval` reaches it.
    """

    def __init__(self, base: nn.Linear, settings: LoraSettings, start_rI: Tensor) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.a_rI = nn.Parameter(start_rI)
        self.b_Or = nn.Parameter(torch.zeros(base.out_features, settings.rank))
        self.dropout = nn.Dropout(settings.dropout)
        self.scale = settings.alpha / settings.rank

    def forward(self, x_NTI: Tensor, outputs: slice = EVERY_TOKEN) -> Tensor:
        """(N, T, I) to (N, T, O), or to a range of the outputs."""
        low_NTr = functional.linear(self.dropout(x_NTI), self.a_rI) * self.scale
        base_NTO = functional.linear(x_NTI, self.base.weight[outputs])
        return base_NTO + functional.linear(low_NTr, self.b_Or[outputs])


def add_lora(network: Gpt2, settings: LoraSettings, seed: int) -> tuple[LoraGroup, ...]:
    """Freeze the network and put LoRA weights into it; the groups are `layer_0`, `layer_1`, ..., `head`.

    A is Kaiming-uniform with a = sqrt(5), as in LoRA's code: U(-b, b), b = 1 / sqrt(I). Each A has a numpy stream of
    its own; B = 0, so the function of the network stays what it was.
    """
    network.requires_grad_(False)
    groups = []
    for group, prefix, places in _places(network):
        for module, attribute in places:
            base = getattr(module, attribute)
            assert isinstance(base, nn.Linear), "LoRA is there already"
            bound = 1.0 / math.sqrt(base.in_features)
            stream = numpy_stream(seed, "lora", group, attribute, "A")
            start_rI = stream.uniform(-bound, bound, (settings.rank, base.in_features)).astype(np.float32)
            setattr(module, attribute, LoraLinear(base, settings, torch.from_numpy(start_rI)))
        names = [f"{prefix}{attribute}" for _, attribute in places]
        groups.append(LoraGroup(group, tuple(f"{n}.a_rI" for n in names), tuple(f"{n}.b_Or" for n in names)))
    return tuple(groups)


def _places(network: Gpt2) -> Iterator[tuple[str, str, list[tuple[nn.Module, str]]]]:
    """Per group its name, the prefix of its parameters, and each matrix as the module that holds it and its name."""
    for index, block in enumerate(network.blocks):
        attention = block.get_submodule("attention")
        yield f"layer_{index}", f"blocks.{index}.attention.", [(attention, name) for name in ADAPTED_IN_ATTENTION]
    yield HEAD, "", [(network, HEAD)]
