"""One pass over the training images: the inner loop that every study shares."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from certifuse.data.augmentation import augment
from certifuse.data.batches import epoch_batches
from certifuse.data.image_set import ImageSet, normalise
from certifuse.data.splits import Splits
from certifuse.randomness import numpy_stream, seed_layers, torch_stream
from certifuse.settings.augmentation import AugmentationSettings
from certifuse.training.finite import FiniteWatch
from certifuse.training.optimisation import ParameterGroup
from certifuse.training.runtime import Runtime

Objective = Callable[[Any, Tensor], Mapping[str, Tensor]]
"""(network output, soft targets (N, K)) -> named scalar losses, one of them `total`."""


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


def on_device(images: ImageSet, splits: Splits, runtime: Runtime) -> DeviceImages:
    """The training images on the device, once: nothing is copied per step. Normalised as the pool of the splits."""
    return _place(images.train_images, images.train_labels, images.num_classes, splits, runtime)


def official_test_on_device(images: ImageSet, splits: Splits, runtime: Runtime) -> DeviceImages:
    """The test images on the device, normalised likewise. Only the evaluation of finished models asks for them."""
    return _place(images.test_images, images.test_labels, images.num_classes, splits, runtime)


def _place(pixels: Tensor, labels: Tensor, num_classes: int, splits: Splits, runtime: Runtime) -> DeviceImages:
    mean, std = (torch.tensor(values, dtype=torch.float32) for values in (splits.mean, splits.std))
    device = runtime.device
    return DeviceImages(pixels.to(device), labels.to(device), mean.to(device), std.to(device), num_classes)


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

    @property
    def images_per_epoch(self) -> int:
        """Images that an epoch visits: a last batch that is not full is left out, unless it is the only one."""
        count = len(self.indices)
        return count if count < self.batch_size else count - count % self.batch_size

    def run(self, epoch: int) -> dict[str, float]:
        """Train for one epoch. Returns the means of the losses and of each group's gradient norm.

        Raises:
            NonFiniteLossError: on a CPU at once; on a GPU at the end of the epoch, since a look per step would stall
                the device. In either case such a gradient has updated nothing, and nothing is stored.
        """
        self.network.train()
        seed_layers(self.seed, "layers", epoch)
        device = self.runtime.device
        draws = torch_stream(self.seed, "augment", epoch, device=device), numpy_stream(self.seed, "augment", epoch)
        drop_last = len(self.indices) >= self.batch_size
        batches = list(epoch_batches(self.indices, self.batch_size, self.seed, epoch, device, drop_last))
        seen: dict[str, list[Tensor]] = {}

        def replay(step: int) -> dict[str, Any]:
            return {"epoch": epoch + 1, "step": step + 1, "seed": self.seed, "images": batches[step].tolist()}

        finite = FiniteWatch(device, self.network, replay)
        for step, indices in enumerate(batches):
            losses = self._losses(indices, *draws)
            finite.watch(step, "loss", losses["total"].detach())
            torch.autograd.backward(losses["total"])
            for group in self.groups:
                norm = group.after_backward(epoch + step / len(batches), step == len(batches) - 1)
                if norm is not None:
                    finite.watch(step, f"{group.name} gradient", norm)
                    seen.setdefault(f"{group.name}_gradient_norm", []).append(norm)
            for name, value in losses.items():
                seen.setdefault(name, []).append(value.detach())
        finite.require()
        return {name: float(torch.stack(values).double().mean()) for name, values in seen.items()}

    def _losses(
        self, indices: Tensor, device_generator: torch.Generator, host_generator: np.random.Generator
    ) -> Mapping[str, Tensor]:
        data = self.data
        images, targets = augment(
            data.batch(indices),
            data.labels[indices],
            self.augmentation,
            data.num_classes,
            device_generator,
            host_generator,
        )
        with self.runtime.autocast():
            output = self.network(self.runtime.arrange(images))
        return self.objective(output, targets)
