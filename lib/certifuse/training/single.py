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
from certifuse.training.optimisation import ParameterGroup, make_optimiser, optimiser_tensors, restore_optimiser


def single_objective(label_smoothing: float) -> Callable[[tuple[Tensor, Tensor], Tensor], dict[str, Tensor]]:
    """Cross-entropy of a network that gives (feature, logits)."""

    def objective(output: tuple[Tensor, Tensor], targets_NK: Tensor) -> dict[str, Tensor]:
        return {"total": cross_entropy(output[1], targets_NK, label_smoothing)}

    return objective


def single_group(network: nn.Module, training: ExpertTraining) -> ParameterGroup:
    """All parameters, by SGD with a cosine rate."""
    parameters = list(network.parameters())
    return ParameterGroup(
        name="network",
        parameters=parameters,
        optimiser=make_optimiser("sgd", parameters, training.weight_decay, training.momentum),
        base_lr=training.lr,
        schedule="cosine",
        min_lr=0.0,
        epochs=training.epochs,
        warmup_epochs=training.warmup_epochs,
        clip_norm=training.clip_norm,
    )


class SingleNetwork:
    """One network in training."""

    def __init__(self, network: nn.Module, trainer: EpochTrainer, validation: Tensor):
        self.network, self.trainer, self.validation = network, trainer, validation
        self.group = trainer.groups[0]

    def train(self, epoch: int) -> dict[str, Any]:
        """One epoch."""
        began = time.perf_counter()
        means = self.trainer.run(epoch)
        seconds = time.perf_counter() - began
        return {
            "train_loss": means["total"],
            "lr": self.group.lr(epoch),
            "gradient_norm": means["network_gradient_norm"],
            "seconds": seconds,
            "images_per_second": self.trainer.images_per_epoch / seconds,
        }

    def validate(self) -> dict[str, float]:
        """Loss and accuracy on the validation images."""
        data = self.trainer.data
        logits = logits_of(self.network, data, self.validation, self.trainer.runtime)[None]
        labels = data.labels[self.validation].cpu()
        return {
            "val_loss": float(nll_nats(logits, labels)[0]),
            "val_accuracy": float(accuracy_percent(logits, labels)[0]),
        }

    def weights(self) -> dict[str, Tensor]:
        """Parameters and buffers."""
        return self.network.state_dict()

    def state(self) -> dict[str, Tensor]:
        """Weights and momentum."""
        return flat({"network": self.weights(), "optimiser": optimiser_tensors(self.group.optimiser)})

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        parts = nested(tensors, ["network", "optimiser"])
        self.network.load_state_dict(parts["network"])
        restore_optimiser(self.group.optimiser, parts["optimiser"])
