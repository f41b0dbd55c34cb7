"""A crate on disk: a directory, or a zip file whose bytes depend on its content alone."""

import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from certifuse.base.errors import UserError
from certifuse.base.files import write_atomically, write_text

METADATA_FILE = "ro-crate-metadata.json"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
ZIP_MODE = 0o100644 << 16


def pack(output: Path, files: Mapping[str, Path], metadata: Mapping[str, Any]) -> None:
    """Write the crate to `output`: a zip file if it is called so, otherwise a new directory.

    Raises:
        UserError: something is there already.
    """
    if output.exists():
        raise UserError(f"{output}: expected a new crate, found one of that name: remove it or choose another --output")
    text = json.dumps(metadata, indent=2, allow_nan=False) + "\n"
    if output.suffix == ".zip":
        size = sum(path.stat().st_size for path in files.values())
        write_atomically(output, lambda temporary: _zip(temporary, files, text), size)
    else:
        for name, path in files.items():
            (output / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, output / name)
        write_text(output / METADATA_FILE, text)


def _zip(path: Path, files: Mapping[str, Path], metadata: str) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_entry(METADATA_FILE), metadata)
        for name, source in files.items():
            with source.open("rb") as reading, archive.open(_entry(name), "w", force_zip64=True) as writing:
                shutil.copyfileobj(reading, writing)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, ZIP_TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = ZIP_MODE
    return entry
