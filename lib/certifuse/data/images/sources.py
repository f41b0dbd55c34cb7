"""Image sets by the name of their source. A new source is one function and one line of `SOURCES`."""

import zipfile
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certifuse.base.errors import UserError
from certifuse.base.randomness import numpy_stream
from certifuse.data.images.image_set import ImageSet, check_image_set
from certifuse.data.images.splits import stratified_draw
from certifuse.data.images.torchvision_import import import_torchvision_datasets
from certifuse.study.settings.data import CifarData, DataSettings, DigitsData, NpzData


def load_source(settings: DataSettings) -> ImageSet:
    """The images that the settings name. UserError where they are absent, damaged or ill-formed."""
    return SOURCES[settings.source](settings)


# ---- digits --------------------------------------------------------------------------------------


def load_digits(settings: DigitsData) -> ImageSet:
    """scikit-learn's digits: 1,797 grey images of 8 x 8 pixels, values 0..16 scaled to 0..255."""
    try:
        from sklearn import datasets
    except ImportError as error:
        raise UserError("data.source: digits needs scikit-learn; pip install scikit-learn") from error
    digits = datasets.load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    labels = digits.target.astype(np.int64)
    size = round(settings.test_fraction * len(labels))
    stream = numpy_stream(settings.seed, "digits", "test")
    test, train = stratified_draw(np.arange(len(labels)), labels, size, stream)
    images_N1HW, labels_N = torch.from_numpy(images)[:, None], torch.from_numpy(labels)
    names = tuple(str(name) for name in digits.target_names)
    image_set = ImageSet(images_N1HW[train], labels_N[train], images_N1HW[test], labels_N[test], 10, "digits", names)
    check_image_set(image_set, f"digits with data.test_fraction {settings.test_fraction:g}")
    return image_set


# ---- CIFAR ---------------------------------------------------------------------------------------


def load_cifar(settings: CifarData) -> ImageSet:
    """CIFAR-10 or CIFAR-100 (Krizhevsky 2009) by torchvision, which checks the MD5 of each file before it opens it.

    An official archive in `root` is unpacked, also without `download`.
    """
    try:
        datasets = import_torchvision_datasets()
    except ImportError as error:
        raise UserError(f"data.source: {settings.source} needs torchvision; pip install torchvision") from error
    official = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[settings.source]
    archive = Path(settings.root, official.filename)
    unpack = datasets.utils.check_integrity(archive, official.tgz_md5)
    try:
        train = official(settings.root, train=True, download=settings.download or unpack)
        test = official(settings.root, train=False)
    except (OSError, HTTPException) as error:
        raise UserError(f"{official.url}: could not be fetched ({error}); put the file at {archive}") from error
    except RuntimeError as error:
        folder = Path(settings.root, official.base_folder)
        found = "files that differ from the official ones" if folder.exists() else "nothing"
        raise UserError(
            f"{folder}: expected the official {settings.source} files, found {found}; "
            f"set data.download: true, or put {official.url} at {archive}, or use data.source: npz"
        ) from error
    return ImageSet(
        train_images=_channels_first(train.data),
        train_labels=torch.tensor(train.targets, dtype=torch.int64),
        test_images=_channels_first(test.data),
        test_labels=torch.tensor(test.targets, dtype=torch.int64),
        num_classes=len(train.classes),
        name=settings.source,
        class_names=tuple(train.classes),
    )


def _channels_first(images_NHWC: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images_NHWC).permute(0, 3, 1, 2).contiguous()


# ---- npz -----------------------------------------------------------------------------------------


def load_npz(settings: NpzData) -> ImageSet:
    """Any images: uint8 `{train,test}_images` (N, H, W, C) or (N, H, W); integer `{train,test}_labels` (N,).

    Classes are numbered 0..K-1, each with a training image. Arrays of Python objects are refused, never unpickled.
    """
    path = Path(settings.path)
    if not path.is_file():
        raise UserError(f"{path}: expected an .npz file, found none; set data.path")
    arrays = _read_arrays(path)
    train_labels = _npz_labels(arrays["train_labels"], f"{path}: train_labels")
    image_set = ImageSet(
        train_images=_npz_images(arrays["train_images"], f"{path}: train_images"),
        train_labels=train_labels,
        test_images=_npz_images(arrays["test_images"], f"{path}: test_images"),
        test_labels=_npz_labels(arrays["test_labels"], f"{path}: test_labels"),
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


UNREADABLE = (OSError, ValueError, EOFError, KeyError, NotImplementedError, MemoryError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise for a damaged file."""


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


def _npz_images(images: NDArray[Any], where: str) -> Tensor:
    if images.dtype != np.uint8 or images.ndim not in (3, 4):
        found = f"{images.dtype} {images.shape}"
        raise UserError(f"{where}: expected uint8 (N, H, W, C) or (N, H, W), found {found}; convert the array")
    if images.ndim == 4 and images.shape[-1] not in (1, 3, 4):
        raise UserError(
            f"{where}: expected (N, H, W, C) with 1, 3 or 4 channels, found {images.shape}; "
            "transpose(0, 2, 3, 1) turns (N, C, H, W) into it"
        )
    return _channels_first(images if images.ndim == 4 else images[..., None])


def _npz_labels(labels: NDArray[Any], where: str) -> Tensor:
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise UserError(f"{where}: expected integers (N,), found {labels.dtype} {labels.shape}; convert the array")
    return torch.from_numpy(labels.astype(np.int64))


SOURCES: dict[str, Callable[[Any], ImageSet]] = {
    "digits": load_digits,
    "cifar10": load_cifar,
    "cifar100": load_cifar,
    "npz": load_npz,
}
