"""Training of one network by cross-entropy."""

import time
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from certifuse.base.tensors import flat, nested
from certifuse.models.compute.inference import accuracy_percent, logits_of, nll_nats
from certifuse.study.settings.pretraining import ExpertTraining
from certifuse.training.epoch import EpochTrainer
from certifuse.training.losses import cross_entropy
from certifuse.training.optimisation import Optimisation, ParameterGroup


def single_objective(label_smoothing: float) -> Callable[[tuple[Tensor, Tensor], Tensor], dict[str, Tensor]]:
    """Cross-entropy of a network that gives (feature, logits)."""

    def objective(output: tuple[Tensor, Tensor], targets_NK: Tensor) -> dict[str, Tensor]:
        return {"total": cross_entropy(output[1], targets_NK, label_smoothing)}

    return objective


def single_groups(network: nn.Module, training: ExpertTraining, bf16: bool = False) -> list[ParameterGroup]:
    """All parameters that are trained; with Muon in several groups (see `Optimisation`)."""
    optimisation = Optimisation(training.optimizer, training.weight_decay, training.muon, training.momentum, bf16)
    return optimisation.groups(
        "network",
        network,
        training.lr,
        schedule=training.schedule,
        min_lr=0.0,
        epochs=training.epochs,
        warmup_epochs=training.warmup_epochs,
        clip_norm=training.clip_norm,
    )


class SingleNetwork:
    """One network in training."""

    def __init__(self, network: nn.Module, trainer: EpochTrainer, validation: Tensor):
        self.network, self.trainer, self.validation = network, trainer, validation

    def train(self, epoch: int) -> dict[str, Any]:
        """One epoch. Rate and gradient norm are those of the first group."""
        began = time.perf_counter()
        means = self.trainer.run(epoch)
        seconds = time.perf_counter() - began
        first = self.trainer.groups[0]
        return {
            "train_loss": means["total"],
            "lr": first.lr(epoch),
            "gradient_norm": means[f"{first.name}_gradient_norm"],
            "seconds": seconds,
            "images_per_second": self.trainer.images_per_epoch / seconds,
        }

    def validate(self) -> dict[str, float]:
        """Loss and accuracy on the validation images."""
        data = self.trainer.data
        logits = logits_of(self.trainer.average.network, data, self.validation, self.trainer.runtime)[None]
        labels = data.labels[self.validation].cpu()
        return {
            "val_loss": float(nll_nats(logits, labels)[0]),
            "val_accuracy": float(accuracy_percent(logits, labels)[0]),
        }

    def weights(self) -> dict[str, Tensor]:
        """Parameters and buffers, averaged where the recipe says so."""
        return self.trainer.average.network.state_dict()

    def state(self) -> dict[str, Tensor]:
        """Weights, their average, and the state of every optimiser."""
        return flat({"network": self.network.state_dict(), **self.trainer.state()})

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        parts = nested(tensors, ["network"])
        self.network.load_state_dict(parts.pop("network"))
        self.trainer.restore(parts)
