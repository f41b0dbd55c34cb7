"""Muon: steps along the orthogonal matrix that is nearest to the momentum of a filter bank or a matrix.

Shapes: B matrices of equal shape, m rows (outputs), n columns (all that one output sees).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b, c of the quintic a x + b x^3 + c x^5, which is steep at zero and keeps values that it has brought near one
between about 0.7 and 1.2 (Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks")."""
EPSILON = 1e-7


def orthogonalised(matrices_Bmn: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    """For each matrix U S V^T about U V^T: its singular values lie near one, roughly between 0.7 and 1.2.

    Newton-Schulz on the side with fewer rows: X <- a X + (b A + c A^2) X with A = X X^T, from X of Frobenius norm one,
    in `dtype`. Small singular values need several steps: each multiplies them by about 3.4.
    """
    a, b, c = COEFFICIENTS
    tall = matrices_Bmn.shape[1] > matrices_Bmn.shape[2]
    x_Bmn = (matrices_Bmn.mT if tall else matrices_Bmn).to(dtype)
    x_Bmn = x_Bmn / x_Bmn.norm(dim=(1, 2), keepdim=True).clamp(min=EPSILON)
    for _ in range(steps):
        gram_Bmm = x_Bmn @ x_Bmn.mT
        x_Bmn = torch.baddbmm(x_Bmn, torch.baddbmm(gram_Bmm, gram_Bmm, gram_Bmm, beta=b, alpha=c), x_Bmn, beta=a)
    return x_Bmn.mT if tall else x_Bmn


class Muon(Optimizer):
    """`theta <- (1 - lr decay) theta - lr sqrt(max(1, m / n)) orthogonalised(g + momentum M)`, M the momentum.

    As `torch.optim.Muon`, which takes matrices alone, one after the other, and updates on gradients that are not
    finite. Here filters (m, n, height, width) are matrices (m, n height width), each group of a grouped convolution is
    one of its own, and all matrices of a shape go through Newton-Schulz together.

    Args:
        matrices: parameters, each with the number of groups that its outputs are divided into.
        momentum: of the exponential average of gradients, Nesterov's.
        weight_decay: decoupled from the gradient.
        steps: of Newton-Schulz.
        normalise: before the update each parameter is scaled to the Frobenius norm sqrt(m), which orthonormal rows
            have. The step then turns it by an angle that the rate alone decides.
        dtype: what Newton-Schulz computes in.

    With `found_inf` (set as for fused optimisers) above zero a step changes nothing, without telling the host.
    """

    def __init__(
        self,
        matrices: Iterable[tuple[nn.Parameter, int]],
        *,
        momentum: float,
        weight_decay: float,
        steps: int,
        normalise: bool,
        dtype: torch.dtype,
    ) -> None:
        by_groups: defaultdict[int, list[nn.Parameter]] = defaultdict(list)
        for parameter, groups in matrices:
            by_groups[groups].append(parameter)
        self.steps, self.normalise, self.dtype = steps, normalise, dtype
        own = [{"params": parameters, "groups": groups} for groups, parameters in by_groups.items()]
        super().__init__(own, {"lr": 0.0, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            pairs = [(parameter, parameter.grad) for parameter in group["params"] if parameter.grad is not None]
            if pairs:
                parameters, gradients = map(list, zip(*pairs, strict=True))
                self._step(parameters, gradients, group)

    def _step(self, parameters: list[nn.Parameter], gradients: list[Tensor], group: dict[str, Any]) -> None:
        before = [self._momentum(parameter) for parameter in parameters]
        after = torch._foreach_lerp(before, gradients, 1 - group["momentum"])
        looked_ahead = torch._foreach_lerp(gradients, after, group["momentum"])
        directions = self._directions(looked_ahead, group["groups"])
        withheld = getattr(self, "found_inf", torch.zeros((), device=parameters[0].device)) > 0
        for parameter, direction, old, new in zip(parameters, directions, before, after, strict=True):
            scale = 1 - group["lr"] * group["weight_decay"]
            kept = parameter * (scale * math.sqrt(len(parameter)) / parameter.norm() if self.normalise else scale)
            parameter.copy_(torch.where(withheld, parameter, kept.add_(direction, alpha=-group["lr"])))
            old.copy_(torch.where(withheld, old, new))

    def _momentum(self, parameter: nn.Parameter) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        return buffer

    def _directions(self, updates: Sequence[Tensor], groups: int) -> list[Tensor]:
        """The orthogonal matrices of updates, scaled by their shape and in the shape of each."""
        by_shape: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for number, update in enumerate(updates):
            by_shape[len(update) // groups, update[0].numel()].append(number)
        directions = list(updates)
        for (rows, columns), numbers in by_shape.items():
            stacked_Bmn = torch.cat([updates[number].reshape(groups, rows, columns) for number in numbers])
            scaled_Bmn = orthogonalised(stacked_Bmn, self.steps, self.dtype) * math.sqrt(max(1.0, rows / columns))
            for number, direction in zip(numbers, torch.split(scaled_Bmn, groups), strict=True):
                directions[number] = direction.reshape(updates[number].shape)
        return directions
