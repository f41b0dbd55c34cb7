"""Projectors made of projectors: several side by side, each onto weights of its own."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from certifuse.models.subspace.projectors import PROJECTORS, Projector

DENSE_NUMBERS = 1 << 20
"""Up to this size a dense matrix is faster than a Kronecker product and leaves no coordinate out."""


def build_projector(kind: str, subspace_dim: int, ambient_dim: int, seed: int, device: torch.device) -> Projector:
    """A projector of a kind of `PROJECTORS`; `kronecker` is dense where that takes at most `DENSE_NUMBERS`."""
    small = subspace_dim * ambient_dim <= DENSE_NUMBERS
    return PROJECTORS["dense" if kind == "kronecker" and small else kind](subspace_dim, ambient_dim, seed, device)


class BlockProjector(Projector):
    """Consecutive coordinates for each block, which its projector sends to the weights at the block's indices.

    Blocks share no weight, so the columns are orthonormal; a weight of no block stays at theta0.
    """

    def __init__(self, blocks: Sequence[tuple[Projector, Tensor]], ambient_dim: int) -> None:
        self._parts = [part for part, _ in blocks]
        sizes = [part.subspace_dim for part in self._parts]
        super().__init__(sum(sizes), ambient_dim, self._parts[0].device)
        self._coordinates, self._weights = sizes, [part.ambient_dim for part in self._parts]
        self._index = torch.cat([index for _, index in blocks]).to(self.device)
        assert len(self._index) == sum(self._weights), "blocks: the indices do not fit the projectors"

    def _forward(self, w_d: Tensor) -> Tensor:
        pieces = [part._forward(w) for part, w in zip(self._parts, torch.split(w_d, self._coordinates), strict=True)]
        return w_d.new_zeros(self.ambient_dim).index_copy_(0, self._index, torch.cat(pieces))

    def _adjoint(self, theta_D: Tensor) -> Tensor:
        thetas = torch.split(theta_D[self._index], self._weights)
        return torch.cat([part._adjoint(theta) for part, theta in zip(self._parts, thetas, strict=True)])


def trainable_layout(network: nn.Module) -> dict[str, range]:
    """Name to the places of its numbers in theta, in the order of `SubspaceNetwork`."""
    layout, start = {}, 0
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            layout[name] = range(start, start + parameter.numel())
            start += parameter.numel()
    return layout


def places_of(layout: Mapping[str, range], names: Sequence[str], device: torch.device) -> Tensor:
    """Indices into theta of the numbers of the named parameters."""
    return torch.cat([torch.arange(layout[name].start, layout[name].stop, device=device) for name in names])
