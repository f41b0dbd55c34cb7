"""Training of w in theta = theta0 + P w: at full precision, then quantised."""

import time
from typing import Any

import torch
from torch import Tensor

from certifuse.base.tensors import flat, nested
from certifuse.models.compute.inference import accuracy_percent, fused_logits_of, nll_nats
from certifuse.models.subspace.quantisation import quantise_network
from certifuse.models.subspace.reparametrisation import SubspaceNetwork
from certifuse.study.settings.certificates import SubspaceTraining
from certifuse.training.epoch import EpochTrainer
from certifuse.training.optimisation import ParameterGroup, make_optimiser, optimiser_tensors, restore_optimiser


def subspace_group(network: SubspaceNetwork, training: SubspaceTraining, *, quantised: bool) -> ParameterGroup:
    """w alone, by AdamW with a cosine rate."""
    return ParameterGroup(
        name="subspace",
        parameters=[network.w],
        optimiser=make_optimiser("adamw", [network.w], training.weight_decay),
        base_lr=training.quantised_lr if quantised else training.lr,
        schedule="cosine",
        min_lr=0.0,
        epochs=training.quantised_epochs if quantised else training.epochs,
        clip_norm=training.clip_norm,
    )


class SubspaceTrainee:
    """A fused network in a subspace, in training; with `levels`, quantised to so many.

    The codebook is the best one for w at the start of each epoch and whenever the network is validated; gradients
    pass the quantisation as if it were not there.
    """

    def __init__(
        self,
        network: SubspaceNetwork,
        trainer: EpochTrainer,
        validation: Tensor,
        training: SubspaceTraining,
        levels: int | None,
    ):
        self.network, self.trainer, self.validation = network, trainer, validation
        self.training, self.levels = training, levels
        self.group = trainer.groups[0]

    def _quantise(self) -> None:
        quantise_network(self.network, self.levels, self.training.codebook)

    def train(self, epoch: int) -> dict[str, Any]:
        """One epoch."""
        self._quantise()
        began = time.perf_counter()
        means = self.trainer.run(epoch)
        seconds = time.perf_counter() - began
        return {
            "levels": self.levels,
            "train_loss": means["total"],
            "loss_global": means["global"],
            "loss_individual": means["individual"],
            "lr": self.group.lr(epoch),
            "gradient_norm": means["subspace_gradient_norm"],
            "seconds": seconds,
            "images_per_second": self.trainer.images_per_epoch / seconds,
        }

    def validate(self) -> dict[str, float]:
        """Loss and accuracy on the validation images."""
        self._quantise()
        data = self.trainer.data
        fused, _ = fused_logits_of(self.network, data, self.validation, self.trainer.runtime)
        labels = data.labels[self.validation].cpu()
        return {
            "val_loss": float(nll_nats(fused[None], labels)[0]),
            "val_accuracy": float(accuracy_percent(fused[None], labels)[0]),
        }

    def weights(self) -> dict[str, Tensor]:
        """w, shape (d,), before quantisation."""
        return {"w": self.network.w.detach()}

    def state(self) -> dict[str, Tensor]:
        """w and the optimiser's state."""
        return flat({"network": self.weights(), "optimiser": optimiser_tensors(self.group.optimiser)})

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `state` gave."""
        parts = nested(tensors, ["network", "optimiser"])
        with torch.no_grad():
            self.network.w.copy_(parts["network"]["w"])
        restore_optimiser(self.group.optimiser, parts["optimiser"])
