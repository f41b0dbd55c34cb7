"""A network made of experts, as running it sees one."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

RunExperts = Callable[[Sequence[nn.Module], Tensor], Sequence[tuple[Tensor, Tensor]]]
"""From experts and a batch of images to what each expert says of them: features and logits."""


@runtime_checkable
class HasExperts(Protocol):
    """A network of alike experts that read the same images, and in which the way that they run can be set."""

    experts: nn.ModuleList
    run_experts: RunExperts
