"""Images in an .npz file of the user's own."""

import lzma
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certifuse.base.errors import UserError
from certifuse.base.files import open_file
from certifuse.base.machine import require_memory
from certifuse.data.images.image_set import ImageSet, check_image_set
from certifuse.data.images.sources.arrays import channels_first
from certifuse.study.settings.data import NpzData

SETTINGS = NpzData
UNREADABLE = (
    *(OSError, ValueError, EOFError, KeyError, NotImplementedError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, RecursionError),
)
"""What numpy and zipfile raise for a damaged file."""


def load(settings: NpzData) -> ImageSet:
    """Any images: uint8 `{train,test}_images` (N, H, W, C) or (N, H, W); integer `{train,test}_labels` (N,).

    Classes are numbered 0..K-1, each with a training image. Arrays of Python objects are refused, never unpickled.
    """
    path = Path(settings.path)
    if not path.exists():
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
    expected = ("train_images", "train_labels", "test_images", "test_labels")
    name, arrays = expected[0], {}
    try:
        with open_file(path) as stream:
            if not zipfile.is_zipfile(stream):
                found = "found another kind of file or a truncated one; save it again"
                raise UserError(f"{path}: expected an .npz archive, {found}")
            with np.load(stream, allow_pickle=False) as stored:
                missing = [name for name in expected if name not in stored]
                if missing:
                    raise UserError(f"{path}: expected array {missing[0]!r}, found {sorted(stored)}; add it")
                needed_bytes = 0
                for name in expected:
                    needed_bytes += _stored_bytes(stored.zip, f"{name}.npy")
                require_memory(str(path), needed_bytes)
                for name in expected:
                    arrays[name] = stored[name]
    except UNREADABLE as error:
        where, reason = f"{path}: {name}", " ".join(str(error).split())
        raise UserError(f"{where}: expected a plain array, found unreadable data ({reason}); save it again") from error
    return arrays


def _stored_bytes(archive: zipfile.ZipFile, name: str) -> int:
    """The bytes of an array by its own header, which a few bytes can say anything in.

    Raises:
        ValueError: the archive holds other than that many.
    """
    stored = archive.getinfo(name).file_size
    with archive.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(stream)
        needed = math.prod(shape) * dtype.itemsize
        if needed != stored - stream.tell() and not dtype.hasobject:
            raise ValueError(f"its header describes {needed} bytes, {stored - stream.tell()} are stored")
    return needed


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
