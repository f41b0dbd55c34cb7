"""Labelled images of a training and a test part, on the host as uint8, and the file that holds them.

Shape suffixes: N images, C channels, H x W pixels.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from certifuse.base.digests import canonical_json, digest_bytes
from certifuse.base.errors import UserError
from certifuse.base.tensors import digest_tensor, read_sealed, write_sealed

KIND = "an image set"
TENSORS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images uint8 (N, C, H, W) and labels int64 (N,) in 0..num_classes-1; `test_*` is the official test part."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    num_classes: int
    name: str
    class_names: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that a result can depend on: the four tensors and the number of classes."""
        digests = {name: digest_tensor(getattr(self, name)) for name in TENSORS}
        return digest_bytes(canonical_json({"num_classes": self.num_classes, **digests}).encode())


def channel_statistics(images_NCHW: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation of each channel of uint8 images, scaled to [0, 1].

    Pixels are counted per value, so the float64 results depend on neither the order of the images nor threads.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in images_NCHW.unbind(1):
        weights = torch.bincount(channel.reshape(-1), minlength=256).double() / channel.numel()
        mean = (weights * values).sum()
        means.append(float(mean))
        deviations.append(float((weights * (values - mean).square()).sum().sqrt()))
    return tuple(means), tuple(deviations)


def normalise(images_NCHW: Tensor, mean_C: Tensor, std_C: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """(images / 255 - mean) / std as `dtype`, on the device and in the memory format of the uint8 images.

    Computed in float32 or wider and rounded once. `mean_C` and `std_C` should be on the device of the images:
    otherwise they are copied there at every call.
    """
    working = torch.promote_types(dtype, torch.float32)
    scale = (1 / (255 * std_C)).to(images_NCHW.device, working)[:, None, None]
    shift = (mean_C / std_C).to(images_NCHW.device, working)[:, None, None]
    return images_NCHW.to(working).mul_(scale).sub_(shift).to(dtype)


def save_image_set(image_set: ImageSet, path: Path) -> None:
    """Write one safetensors file, atomically."""
    facts = {
        "name": image_set.name,
        "num_classes": image_set.num_classes,
        "class_names": list(image_set.class_names),
    }
    write_sealed(path, KIND, {name: getattr(image_set, name) for name in TENSORS}, facts)


def load_image_set(path: Path) -> ImageSet:
    """Read and check such a file. UserError for a damaged, changed, foreign or ill-formed one."""
    tensors, facts = read_sealed(path, KIND)
    image_set = ImageSet(
        **{name: tensors[name] for name in TENSORS},
        num_classes=facts["num_classes"],
        name=facts["name"],
        class_names=tuple(facts["class_names"]),
    )
    check_image_set(image_set, str(path))
    return image_set


def check_image_set(image_set: ImageSet, where: str) -> None:
    """UserError, starting with `where`, unless shapes, dtypes and labels are those of `ImageSet`."""
    for part in ("train", "test"):
        _check_part(part, getattr(image_set, f"{part}_images"), getattr(image_set, f"{part}_labels"), image_set, where)
    size, test_size = tuple(image_set.train_images.shape[1:]), tuple(image_set.test_images.shape[1:])
    if test_size != size:
        raise UserError(
            f"{where}: test_images: expected (C, H, W) {size} as in train_images, found {test_size}; resize"
        )
    names = image_set.class_names
    if names and len(names) != image_set.num_classes:
        raise UserError(
            f"{where}: class_names: expected {image_set.num_classes} or none, found {len(names)}; name each"
        )


def _check_part(part: str, images: Tensor, labels: Tensor, image_set: ImageSet, where: str) -> None:
    if images.dtype != torch.uint8 or images.dim() != 4 or images.numel() == 0:
        found = f"{_short(images.dtype)} {tuple(images.shape)}"
        raise UserError(
            f"{where}: {part}_images: expected non-empty uint8 (N, C, H, W), found {found}; change the array"
        )
    if labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        found = f"{_short(labels.dtype)} {tuple(labels.shape)}"
        raise UserError(
            f"{where}: {part}_labels: expected int64 ({len(images)},), one per image, found {found}; change the array"
        )
    low, high, last = int(labels.min()), int(labels.max()), image_set.num_classes - 1
    if low < 0 or high > last:
        raise UserError(f"{where}: {part}_labels: expected classes 0..{last}, found {low}..{high}; number them so")


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
