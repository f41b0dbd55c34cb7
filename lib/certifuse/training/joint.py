"""Joint training of experts, fusion module and global head.

Shapes: E experts, N images, K classes.
"""

import time
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from certifuse.base.tensors import flat, nested
from certifuse.models.compute.inference import accuracy_percent, fused_logits_of, nll_nats
from certifuse.models.images.fused_network import FusedNetwork, FusedOutput
from certifuse.study.settings.fusion import FusionTraining
from certifuse.training.epoch import EpochTrainer
from certifuse.training.losses import cross_entropy, expert_cross_entropies, mutual_distillation
from certifuse.training.optimisation import Optimisation, ParameterGroup
from certifuse.training.path_gradients import path_gradient_cosine
from certifuse.training.schedules import adapted_to_dimension

CLIPPED_AS = {"experts": "expert_clip_norm", "fusion": "fusion_clip_norm", "global_head": "fusion_clip_norm"}


def dual_path_objective(lam: float, training: FusionTraining) -> Callable[[FusedOutput, Tensor], dict[str, Tensor]]:
    """`total = global + lam * individual + weight * distillation`, with `individual` the sum over experts."""

    def objective(output: FusedOutput, targets_NK: Tensor) -> dict[str, Tensor]:
        return _terms(output, targets_NK, training, lam, global_weight=1.0)

    return objective


def individual_objective(training: FusionTraining) -> Callable[[FusedOutput, Tensor], dict[str, Tensor]]:
    """`total = individual + weight * distillation`: experts that are trained beside each other, not fused."""

    def objective(output: FusedOutput, targets_NK: Tensor) -> dict[str, Tensor]:
        return _terms(output, targets_NK, training, lam=1.0, global_weight=0.0)

    return objective


def _terms(
    output: FusedOutput, targets_NK: Tensor, training: FusionTraining, lam: float, global_weight: float
) -> dict[str, Tensor]:
    experts_E = expert_cross_entropies(output.expert_logits_ENK, targets_NK, training.label_smoothing)
    global_loss = cross_entropy(output.global_logits_NK, targets_NK, training.label_smoothing)
    total = lam * experts_E.sum() + global_weight * global_loss
    distillation = torch.zeros_like(total)
    if training.distillation_weight:
        distillation = mutual_distillation(output.expert_logits_ENK, training.distillation_temperature)
        total = total + training.distillation_weight * distillation
    terms = {"total": total, "global": global_loss, "individual": experts_E.sum(), "distillation": distillation}
    return terms | {f"expert_{index}": loss for index, loss in enumerate(experts_E)}


def parameter_groups(network: FusedNetwork, training: FusionTraining, bf16: bool = False) -> list[ParameterGroup]:
    """Experts, fusion module and global head, each with its own rate, schedule, clipping and accumulation.

    With Muon each of them is divided further (see `Optimisation`).
    """
    if training.epochs is None or training.expert_lr is None or training.fusion_lr is None:
        raise ValueError("training: expected resolved settings (FusionSettings.resolved), found a null")
    expert_lr, fusion_lr = training.expert_lr, training.fusion_lr
    if training.dimension_adaptive_lr:
        expert_lr, fusion_lr = adapted_to_dimension(expert_lr, fusion_lr, network.feature_dim)
    modules: dict[str, nn.Module] = {"experts": network.experts}
    if network.fusion is not None:
        modules |= {"fusion": network.fusion, "global_head": network.component_modules()["global_head"]}
    optimisation = Optimisation(training.optimizer, training.weight_decay, training.muon, bf16=bf16)
    groups = []
    for name, module in modules.items():
        lr = expert_lr if name == "experts" else fusion_lr
        groups += optimisation.groups(
            name,
            module,
            lr,
            schedule=training.expert_schedule if name == "experts" else training.fusion_schedule,
            min_lr=training.min_lr_fraction * lr,
            epochs=training.epochs,
            clip_norm=getattr(training, CLIPPED_AS[name]),
            accumulation_steps=training.expert_accumulation_steps if name == "experts" else 1,
        )
    return groups


class JointNetwork:
    """A fused network (or experts side by side) in training; `labels` are columns that name the run."""

    def __init__(
        self,
        network: FusedNetwork,
        trainer: EpochTrainer,
        validation: Tensor,
        labels: dict[str, Any],
        label_smoothing: float,
    ):
        self.network, self.trainer, self.validation, self.labels = network, trainer, validation, labels
        self.label_smoothing = label_smoothing

    def train(self, epoch: int) -> dict[str, Any]:
        """One epoch. Losses are means over the epoch, and `loss_individual` is the sum of the experts' losses."""
        began = time.perf_counter()
        means = self.trainer.run(epoch)
        seconds = time.perf_counter() - began
        experts = range(len(self.network.experts))
        row = {
            "train_loss": means["total"],
            "loss_global": means["global"],
            "loss_individual": means["individual"],
            "loss_distillation": means["distillation"],
            "loss_total": means["total"],
        }
        row |= {f"{group.name}_lr": group.lr(epoch) for group in self.trainer.groups}
        row |= {f"{group.name}_gradient_norm": means[f"{group.name}_gradient_norm"] for group in self.trainer.groups}
        row |= {f"expert_{index}_loss": means[f"expert_{index}"] for index in experts}
        if self.network.fusion is not None:
            row["path_gradient_cosine"] = self._path_gradient_cosine()
        return row | self.labels | {"seconds": seconds, "images_per_second": self.trainer.images_per_epoch / seconds}

    def _path_gradient_cosine(self) -> float:
        """The cosine on the same batch after every epoch: the first images that it trains on, as they are."""
        data, first = self.trainer.data, self.trainer.indices[: self.trainer.batch_size]
        targets_NK = functional.one_hot(data.labels[first], data.num_classes).float()
        return path_gradient_cosine(
            self.network, data.batch(first), targets_NK, self.label_smoothing, self.trainer.runtime
        )

    def validate(self) -> dict[str, float]:
        """Loss (without lambda, so that it compares across lambdas) and accuracies on the validation images."""
        trainer = self.trainer
        fused, experts = fused_logits_of(trainer.average.network, trainer.data, self.validation, trainer.runtime)
        labels = trainer.data.labels[self.validation].cpu()
        row = {
            "val_loss": float(nll_nats(fused[None], labels)[0]),
            "val_accuracy": float(accuracy_percent(fused[None], labels)[0]),
        }
        return row | {f"expert_{i}_accuracy": float(a) for i, a in enumerate(accuracy_percent(experts, labels))}

    def component_states(self, weights: dict[str, Tensor] | None = None) -> dict[str, dict[str, Tensor]]:
        """The tensors of each component, of the live network or of a copy of its weights."""
        return nested(self.weights() if weights is None else weights, self.network.component_modules())

    def weights(self) -> dict[str, Tensor]:
        """Parameters and buffers, by component; averaged where the recipe says so."""
        return _tensors(cast(FusedNetwork, self.trainer.average.network))

    def state(self) -> dict[str, Tensor]:
        """Weights, their average, and the state of every optimiser."""
        return flat({"network": _tensors(self.network), **self.trainer.state()})

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        parts = nested(tensors, ["network"])
        states = self.component_states(parts.pop("network"))
        for part, module in self.network.component_modules().items():
            module.load_state_dict(states[part])
        self.trainer.restore(parts)


def _tensors(network: FusedNetwork) -> dict[str, Tensor]:
    return flat({part: module.state_dict() for part, module in network.component_modules().items()})
