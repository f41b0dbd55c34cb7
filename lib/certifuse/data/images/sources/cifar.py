"""CIFAR-10 and CIFAR-100."""

from http.client import HTTPException
from pathlib import Path

import torch

from certifuse.base.errors import UserError
from certifuse.data.images.image_set import ImageSet
from certifuse.data.images.sources.arrays import channels_first
from certifuse.data.images.torchvision_import import import_torchvision_datasets
from certifuse.study.settings.data import CifarData

SETTINGS = CifarData


def load(settings: CifarData) -> ImageSet:
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
        train_images=channels_first(train.data),
        train_labels=torch.tensor(train.targets, dtype=torch.int64),
        test_images=channels_first(test.data),
        test_labels=torch.tensor(test.targets, dtype=torch.int64),
        num_classes=len(train.classes),
        name=settings.source,
        class_names=tuple(train.classes),
    )
