"""Parameter groups that each have their own rate, schedule, clipping and accumulation."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from certifuse.base.tensors import flat, nested
from certifuse.models.images.blocks import ImageClassifier
from certifuse.study.settings.recipe import MuonSettings
from certifuse.training.muon import Muon
from certifuse.training.schedules import learning_rate


@dataclass
class ParameterGroup:
    """Parameters that step together.

    With `accumulation_steps` = k the group steps after every k-th batch, and after the last one of an
    epoch, on the mean of the gradients gathered since its last step. A gradient that is not finite changes nothing.
    """

    name: str
    parameters: Sequence[nn.Parameter]
    optimiser: Optimizer
    base_lr: float
    schedule: str
    min_lr: float
    epochs: int
    warmup_epochs: float = 0.0
    clip_norm: float | None = None
    accumulation_steps: int = 1
    _gathered: int = field(default=0, init=False)

    def lr(self, epoch: float) -> float:
        """The rate at a (real-valued) epoch."""
        return learning_rate(self.schedule, self.base_lr, self.min_lr, epoch, self.epochs, self.warmup_epochs)

    def after_backward(self, epoch: float, last: bool) -> Tensor | None:
        """Step if it is time to. Returns the gradient norm before clipping, or None when no step was due.

        Where the norm is not finite, parameters and optimiser state stay as they were: fused optimisers withhold the
        update on the device, without telling the host, which would have to wait for the answer.
        """
        self._gathered += 1
        if self._gathered < self.accumulation_steps and not last:
            return None
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        if self._gathered > 1:
            torch._foreach_div_(gradients, float(self._gathered))
        norm = get_total_norm(gradients, foreach=True)
        if self.clip_norm is not None:
            clip_grads_with_norm_(self.parameters, self.clip_norm, norm, foreach=True)
        for group in self.optimiser.param_groups:
            group["lr"] = self.lr(epoch)
        vars(self.optimiser)["found_inf"] = (~norm.isfinite()).float()  # as torch.amp.GradScaler does
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self._gathered = 0
        return norm


def make_optimiser(
    kind: str, parameters: Sequence[nn.Parameter], weight_decay: float, momentum: float = 0.9
) -> Optimizer:
    """`sgd` (Nesterov) or `adamw`, fused. The rate is set before every step, so the one given here is inert."""
    if kind == "sgd":
        return torch.optim.SGD(
            parameters, lr=0.0, momentum=momentum, nesterov=momentum > 0, weight_decay=weight_decay, fused=True
        )
    if kind == "adamw":
        return torch.optim.AdamW(parameters, lr=0.0, weight_decay=weight_decay, fused=True)
    raise ValueError(f"optimizer: expected sgd or adamw, found {kind!r}")


class ByKind(NamedTuple):
    """The parameters of a module by what they are: filters and matrices with their groups, heads, and all others."""

    matrices: list[tuple[nn.Parameter, int]]
    heads: list[nn.Parameter]
    others: list[nn.Parameter]


def by_kind(module: nn.Module) -> ByKind:
    """The parameters that are trained, by kind. Heads are those of experts, and a module that is one layer itself."""
    heads = {id(own.head) for own in module.modules() if isinstance(own, ImageClassifier)} | {id(module)}
    found = ByKind([], [], [])
    for layer in module.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            if id(layer) in heads:
                found.heads.append(parameter)
            elif name == "weight" and isinstance(layer, nn.Conv2d | nn.Linear):
                found.matrices.append((parameter, layer.groups if isinstance(layer, nn.Conv2d) else 1))
            else:
                found.others.append(parameter)
    return found


@dataclass(frozen=True)
class Optimisation:
    """The optimiser of a training: which, its momentum and decay, details of Muon, and what Muon may compute in."""

    kind: str
    weight_decay: float
    muon: MuonSettings
    momentum: float = 0.9
    bf16: bool = False

    def groups(self, name: str, module: nn.Module, base_lr: float, **rates: Any) -> list[ParameterGroup]:
        """The parameters of a module that are trained: one group, or with Muon one for each kind that there is.

        Args:
            name: of the only group, or of the matrices; heads and others are `{name}_heads` and `{name}_others`.
            module: whose parameters they are.
            base_lr: of the only group, or of the matrices.
            rates: further fields of `ParameterGroup`; `min_lr` is for `base_lr`, and in proportion for other rates.
        """
        if self.kind != "muon":
            trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
            optimiser = make_optimiser(self.kind, trained, self.weight_decay, self.momentum)
            return [ParameterGroup(name, trained, optimiser, base_lr, **rates)]
        kinds, muon = by_kind(module), self.muon
        groups = []
        if kinds.matrices:
            parameters = [parameter for parameter, _ in kinds.matrices]
            groups.append(ParameterGroup(name, parameters, self._muon(kinds.matrices), base_lr, **rates))
        rest = {
            f"{name}_heads": (kinds.heads, muon.head_lr_factor),
            f"{name}_others": (kinds.others, muon.norm_lr_factor),
        }
        for own, (parameters, factor) in rest.items():
            if parameters:
                optimiser = make_optimiser(muon.others, parameters, self.weight_decay, self.momentum)
                scaled = rates | {"min_lr": factor * rates["min_lr"]}
                groups.append(ParameterGroup(own, parameters, optimiser, factor * base_lr, **scaled))
        return groups

    def _muon(self, matrices: list[tuple[nn.Parameter, int]]) -> Muon:
        return Muon(
            matrices,
            momentum=self.muon.momentum,
            weight_decay=self.weight_decay,
            steps=self.muon.steps,
            normalise=self.muon.normalise_filters,
            dtype=torch.bfloat16 if self.bf16 else torch.float32,
        )


def optimiser_bytes(optimiser: Optimizer) -> int:
    """Bytes of the state that an optimiser of `make_optimiser` has once it has stepped."""
    buffers = 2 if isinstance(optimiser, torch.optim.AdamW) else int(bool(optimiser.defaults["momentum"]))
    parameters: list[nn.Parameter] = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    return buffers * sum(parameter.nbytes for parameter in parameters)


def optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as named tensors: `{parameter number}/{buffer}`."""
    return flat(optimiser.state_dict()["state"])


def restore_optimiser(optimiser: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` gave, each buffer in the memory layout of its parameter.

    The fused kernels for the CPU go through parameter and buffer in the order of their memory, whatever the strides:
    a contiguous buffer beside a channels_last parameter would be applied to the wrong weights.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for number, buffers in nested(tensors).items():
        parameter = parameters[int(number)]
        state[int(number)] = {name: _laid_out_as(parameter, value) for name, value in buffers.items()}
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _laid_out_as(parameter: Tensor, buffer: Tensor) -> Tensor:
    """The buffer in the memory layout of its parameter, where it has a number for each of its numbers."""
    if buffer.shape != parameter.shape:
        return buffer
    return torch.empty_like(parameter, dtype=buffer.dtype).copy_(buffer)
