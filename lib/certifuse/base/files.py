"""Files that are whole or absent, whatever kills the process that writes them."""

import contextlib
import fcntl
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from certifuse.base.machine import writing


@contextlib.contextmanager
def in_use(temporary: Path) -> Iterator[int]:
    """Mark a temporary file or directory as being written, by a lock that the kernel frees with the process."""
    handle = os.open(temporary, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # no locks on this file system: then nothing there is taken for left over
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes left half written of `path`: temporary files and directories beside it."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.????????"):
        with contextlib.suppress(OSError):  # it is in use, or gone by now
            handle = os.open(leftover, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            finally:
                os.close(handle)


def write_atomically(path: Path, write: Callable[[Path], None], size_bytes: int) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place: readers see all of it or none.

    `size_bytes` is how large the file will be, for the message of the DiskError where the disk refuses it.
    """
    with writing(path, lambda: size_bytes):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path)
        _write_and_replace(path, write)


def _write_and_replace(path: Path, write: Callable[[Path], None]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        with in_use(temporary) as handle:
            write(temporary)
            os.fsync(handle)
            temporary.chmod(0o644)
            temporary.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    write_atomically(path, write, len(data))


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, as UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON with sorted keys, atomically. NaN is refused: a missing value is `null`."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")
