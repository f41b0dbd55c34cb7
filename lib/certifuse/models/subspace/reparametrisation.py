"""A network in a random subspace: theta = theta0 + P w, with w the only thing that is trained."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from certifuse.models.subspace.projectors import Projector


def trainable_size(network: nn.Module) -> int:
    """D: numbers in the parameters that require a gradient; a tensor shared by several layers counts once."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


class SubspaceNetwork(nn.Module):
    """Any network with theta = theta0 + P w in place of its trainable parameters.

    theta0 is what the network holds when it is wrapped (a seeded initialisation, or experts from components); the
    parameters that then require a gradient form theta, in the order of `named_parameters`, and are frozen. `w`,
    shape (d,), starts at zero: the wrapped network is the prior. ValueError unless the projector's D fits.

    Buffers stay as they are, and are not coded: they belong to the prior. Batch normalisation therefore always uses
    the running statistics that it came with, in training too, so that no statistic of the certificate sample enters
    the network; every other layer follows `train` and `eval` as usual.

    With `quantise`, the network is at theta0 + P quantise(w): training that knows of the code.
    """

    quantise: Callable[[Tensor], Tensor] | None = None

    def __init__(self, network: nn.Module, projector: Projector) -> None:
        super().__init__()
        named = [(name, parameter) for name, parameter in network.named_parameters() if parameter.requires_grad]
        size = sum(parameter.numel() for _, parameter in named)
        if size != projector.ambient_dim:
            raise ValueError(
                f"subspace: expected a projector onto the {size} trainable numbers, got {projector.ambient_dim}"
            )
        device = named[0][1].device
        self.network = network.requires_grad_(False)
        self.projector = projector
        self.w = nn.Parameter(torch.zeros(projector.subspace_dim, device=device))
        self._names = [name for name, _ in named]
        self.train(self.training)

    def train(self, mode: bool = True) -> "SubspaceNetwork":
        """Switch as `nn.Module.train` does, except that batch normalisation stays in evaluation mode."""
        super().train(mode)
        for module in self.network.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
        return self

    def _displaced(self, offset_D: Tensor) -> Iterator[tuple[str, Tensor]]:
        start = 0
        for name in self._names:
            prior = self.network.get_parameter(name)
            step = offset_D[start : start + prior.numel()].view_as(prior)
            yield name, prior + step.to(prior.dtype)
            start += prior.numel()

    def parameters_at(self, w_d: Tensor) -> dict[str, Tensor]:
        """Name to theta0 + P w for every parameter of theta, differentiable in `w_d`, shape (d,).

        In single precision under autocast too: the step is small beside theta0.
        """
        with torch.autocast(w_d.device.type, enabled=False):
            return dict(self._displaced(self.projector.apply(w_d)))

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        """The network at theta0 + P w."""
        w_d = self.w if self.quantise is None else self.quantise(self.w)
        return functional_call(self.network, self.parameters_at(w_d), arguments, keywords)

    @torch.no_grad()
    def write_into(self, network: nn.Module) -> None:
        """Copy theta0 + P w into the parameters of a network of the same shape (not the wrapped one)."""
        assert network is not self.network, "theta0 would be lost"
        for name, value in self.parameters_at(self.w).items():
            network.get_parameter(name).copy_(value)
