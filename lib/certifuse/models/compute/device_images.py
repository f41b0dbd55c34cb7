"""All images of a part on the device, as uint8, and how a batch of them is normalised."""

from dataclasses import dataclass

import torch
from torch import Tensor

from certifuse.data.images.image_set import ImageSet, normalise
from certifuse.data.images.splits import Splits
from certifuse.models.compute.runtime import Runtime


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
