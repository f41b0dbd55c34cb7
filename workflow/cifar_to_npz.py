"""Write CIFAR-10 or CIFAR-100, as torchvision reads it, into one .npz file, which `data.source: npz` takes.

The official archive is looked for in a directory, and fetched only if you say so.
"""

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from torch import Tensor

from certifuse.base.errors import UserError
from certifuse.base.files import write_bytes
from certifuse.data.images.sources.cifar import load
from certifuse.study.settings.data import CifarData

EXAMPLE = "python workflow/cifar_to_npz.py cifar100 data/cifar100.npz --root data --download"


def convert(settings: CifarData, target: Path) -> int:
    """Write all images, as (N, H, W, C), and labels; the number of images."""
    images = load(settings)
    arrays = {
        "train_images": _channels_last(images.train_images),
        "train_labels": images.train_labels.numpy(),
        "test_images": _channels_last(images.test_images),
        "test_labels": images.test_labels.numpy(),
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, buffer.getvalue())
    return len(images.train_images) + len(images.test_images)


def _channels_last(images_NCHW: Tensor) -> np.ndarray:
    return np.ascontiguousarray(images_NCHW.permute(0, 2, 3, 1).numpy())


def main(arguments: list[str]) -> None:
    """Convert what the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=f"example: {EXAMPLE}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", choices=("cifar10", "cifar100"), help="which images")
    parser.add_argument("target", type=Path, help="the .npz file to write")
    parser.add_argument("--root", default="data", help="directory of the official archive (data)")
    parser.add_argument("--download", action="store_true", help="fetch the archive where it is absent")
    parsed = parser.parse_args(arguments)
    try:
        count = convert(CifarData(source=parsed.source, root=parsed.root, download=parsed.download), parsed.target)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    print(f"{parsed.target}: {count:,} images")


if __name__ == "__main__":
    main(sys.argv[1:])
