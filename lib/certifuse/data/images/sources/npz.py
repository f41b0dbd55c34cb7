"""Images in an .npz file of the user's own."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certifuse.base.errors import UserError
from certifuse.data.images.image_set import ImageSet, check_image_set
from certifuse.data.images.sources.arrays import channels_first
from certifuse.study.settings.data import NpzData

SETTINGS = NpzData
UNREADABLE = (OSError, ValueError, EOFError, KeyError, NotImplementedError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise for a damaged file."""


def load(settings: NpzData) -> ImageSet:
    """Any images: uint8 `{train,test}_images` (N, H, W, C) or (N, H, W); integer `{train,test}_labels` (N,).

    Classes are numbered 0..K-1, each with a training image. Arrays of Python objects are refused, never unpickled.
    """
    path = Path(settings.path)
    if not path.is_file():
        raise UserError(f"{path}: expected an .npz file, found none; set data.path")
    arrays = _read_arrays(path)
    train_labels = _labels(arrays["train_labels"], f"{path}: train_labels")
    image_set = ImageSet(
        train_images=_images(arrays["train_images"], f"{path}: train_images"),
        train_labels=train_labels,
        test_images=_images(arrays["test_images"], f"{path}: test_images"),
        test_labels=_labels(arrays["test_labels"], f"{path}: test_labels"),
        num_classes=int(train_labels.max()) + 1 if len(train_labels) else 0,
        name=path.stem,
    )
    check_image_set(image_set, str(path))
    present = np.unique(arrays["train_labels"])
    if len(present) < image_set.num_classes:
        missing = int(np.flatnonzero(present != np.arange(len(present)))[0])
        raise UserError(f"{path}: train_labels: expected classes 0..K-1, found none of {missing}; number them so")
    if image_set.num_classes < 2:
        raise UserError(f"{path}: train_labels: expected two classes or more, found 1; there is nothing to tell apart")
    return image_set


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    if not zipfile.is_zipfile(path):
        raise UserError(
            f"{path}: expected an .npz archive, found another kind of file or a truncated one; save it again"
        )
    expected = ("train_images", "train_labels", "test_images", "test_labels")
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            missing = [name for name in expected if name not in stored]
            if missing:
                raise UserError(f"{path}: expected array {missing[0]!r}, found {sorted(stored)}; add it")
            for name in expected:
                arrays[name] = stored[name]
    except UNREADABLE as error:
        where, reason = f"{path}: {expected[len(arrays)]}", " ".join(str(error).split())
        raise UserError(f"{where}: expected a plain array, found unreadable data ({reason}); save it again") from error
    return arrays


def _images(images: NDArray[Any], where: str) -> Tensor:
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        found = f"{images.dtype} {images.shape}"
        raise UserError(f"{where}: expected uint8 (N, H, W, C) or (N, H, W), found {found}; convert the array")
    if images.ndim == 4 and images.shape[-1] not in (1, 3, 4):
        raise UserError(
            f"{where}: expected (N, H, W, C) with 1, 3 or 4 channels, found {images.shape}; "
            "transpose(0, 2, 3, 1) turns (N, C, H, W) into it"
        )
    return channels_first(images if images.ndim == 4 else images[..., None])


def _labels(labels: NDArray[Any], where: str) -> Tensor:
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise UserError(f"{where}: expected integers (N,), found {labels.dtype} {labels.shape}; convert the array")
    return torch.from_numpy(labels.astype(np.int64))
