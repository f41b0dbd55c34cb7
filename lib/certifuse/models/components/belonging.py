"""The belonging of components to the run that is handed them, by what they say of themselves.

A component that was made elsewhere may say less of itself; what it does not say is not looked at.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError
from certifuse.data.images.image_set import ImageSet
from certifuse.models.components.files import read_header


def check_belonging(components: Iterable[Path], run: Mapping[str, Any], images: ImageSet | None = None) -> None:
    """Compare components with a run (`seed`, `lambda`, `images_sha256`, `splits_sha256`, ...) and with its images.

    Raises:
        UserError: names the first component of another run, or for other images.
    """
    for path in components:
        header = read_header(path)
        for name in header["about"].keys() & run.keys():
            _expect(path, name, run[name], header["about"][name])
        if images is not None:
            sizes = {"num_classes": images.num_classes, "in_channels": images.train_images.shape[1]}
            for name in header["spec"].keys() & sizes.keys():
                _expect(path, name, sizes[name], header["spec"][name])


def _expect(path: Path, name: str, expected: Any, found: Any) -> None:
    if found != expected:
        raise UserError(f"{path}: expected a component of {name} {expected}, found {found}: name one of this run")
