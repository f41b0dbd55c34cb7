"""One pass over the training images: the inner loop that every study shares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from certifuse.data.augmentation import augment
from certifuse.data.batches import epoch_batches
from certifuse.data.image_set import ImageSet, normalise
from certifuse.randomness import numpy_stream, seed_layers, torch_stream
from certifuse.settings.augmentation import AugmentationSettings
from certifuse.training.optimisation import ParameterGroup
from certifuse.training.runtime import Runtime

Objective = Callable[[Any, Tensor], Mapping[str, Tensor]]
"""(network output, soft targets (N, K)) -> named scalar losses, one of them `total`."""


class NonFiniteLossError(Exception):
    """The loss is NaN or infinite. The message names epoch, step and seed, which replay the batch."""


@dataclass(frozen=True)
class DeviceImages:
    """All images on the device: uint8 (N, C, H, W), int64 labels (N,), and how to normalise them."""

    images: Tensor
    labels: Tensor
    mean: Tensor
    std: Tensor
    num_classes: int

    def batch(self, indices: Tensor) -> Tensor:
        """Normalised float32 images of the given indices."""
        return normalise(self.images[indices], self.mean, self.std)


def on_device(images: ImageSet, runtime: Runtime) -> DeviceImages:
    """The training images of a set on the device, once: nothing is copied per step."""
    return _place(images, images.train_images, images.train_labels, runtime)


def official_test_on_device(images: ImageSet, runtime: Runtime) -> DeviceImages:
    """The test images of a set on the device. Only the evaluation of finished models asks for them."""
    return _place(images, images.test_images, images.test_labels, runtime)


def _place(images: ImageSet, pixels: Tensor, labels: Tensor, runtime: Runtime) -> DeviceImages:
    mean, std = (torch.tensor(values, dtype=torch.float32) for values in (images.mean, images.std))
    device = runtime.device
    return DeviceImages(pixels.to(device), labels.to(device), mean.to(device), std.to(device), images.num_classes)


@dataclass
class EpochTrainer:
    """Trains a network for one epoch at a time; every draw is a function of (seed, epoch)."""

    network: nn.Module
    objective: Objective
    groups: Sequence[ParameterGroup]
    data: DeviceImages
    indices: Tensor
    batch_size: int
    augmentation: AugmentationSettings
    runtime: Runtime
    seed: int

    def run(self, epoch: int) -> dict[str, float]:
        """Train for one epoch. Returns the means of the losses and of each group's gradient norm.

        Raises:
            NonFiniteLossError: on a CPU before the update; on a GPU at the end of the epoch (a check per step
                would stall the device), in either case before anything is stored.
        """
        self.network.train()
        seed_layers(self.seed, "layers", epoch)
        host, device = numpy_stream(self.seed, "augment", epoch), self.runtime.device
        generator = torch_stream(self.seed, "augment", epoch, device=device)
        drop_last = len(self.indices) >= self.batch_size
        batches = list(epoch_batches(self.indices, self.batch_size, self.seed, epoch, device, drop_last))
        sums: dict[str, Tensor] = {}
        norms: dict[str, list[Tensor]] = {group.name: [] for group in self.groups}
        for step, indices in enumerate(batches):
            images, targets = augment(
                self.data.batch(indices),
                self.data.labels[indices],
                self.augmentation,
                self.data.num_classes,
                generator,
                host,
            )
            with self.runtime.autocast():
                output = self.network(self.runtime.arrange(images))
            losses = self.objective(output, targets)
            if device.type == "cpu" and not torch.isfinite(losses["total"]):
                raise NonFiniteLossError(self._describe(epoch, step))
            losses["total"].backward()
            for group in self.groups:
                norm = group.after_backward(epoch + step / len(batches), step == len(batches) - 1)
                if norm is not None:
                    norms[group.name].append(norm)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0) + value.detach()
        means = {name: float(value) / len(batches) for name, value in sums.items()}
        if not all(map(torch.isfinite, map(torch.tensor, means.values()))):
            raise NonFiniteLossError(self._describe(epoch, None))
        for name, values in norms.items():
            means[f"{name}_gradient_norm"] = float(torch.stack(values).mean())
        return means

    def _describe(self, epoch: int, step: int | None) -> str:
        where = f"epoch {epoch + 1}" + ("" if step is None else f", step {step + 1}")
        return f"the loss is not finite in {where} (seed {self.seed}): lower the learning rate or clip the gradient"
