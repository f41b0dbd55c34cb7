"""Files that are whole or absent, whatever kills the process that writes them, and files of others, read with care.

What is read may come from anybody: a name may lead to a pipe or a device, which never end, and a small file may hold
what becomes huge. Every reader opens by `open_file`, which takes regular files of a stated size alone.
"""

import contextlib
import fcntl
import glob
import json
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, NoReturn

from certifuse.base.errors import UserError
from certifuse.base.machine import writing

LARGEST_RECORD_BYTES = 1 << 26
"""Of what is read as a whole and understood: manifests, notes. The manifest of 20,000 jobs has a fifth of it."""
LARGEST_DATA_BYTES = 1 << 40
"""Of what goes through memory in parts: images, tokens, components as bytes."""
DEEPEST_JSON = 64
"""Levels of nesting; the records of this software have about ten."""
KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class UnfitFileError(UserError):
    """Something else than a regular file of the size that a reader takes; `found` says what."""

    def __init__(self, path: Path, expected: str, found: str) -> None:
        self.found = found
        super().__init__(f"{path}: expected {expected}, found {found}: name another")


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


# ---- reading -------------------------------------------------------------------------------------


def check_file(path: Path, largest_bytes: int = LARGEST_DATA_BYTES) -> int:
    """The size of a regular file in bytes; links are followed.

    Raises:
        OSError: there is nothing.
        UnfitFileError: it is something else, or larger than `largest_bytes`.
    """
    return _fitting_bytes(path, path.stat(), largest_bytes)


def open_file(path: Path, largest_bytes: int = LARGEST_DATA_BYTES) -> BufferedReader:
    """A regular file, open for reading. Errors as of `check_file`: nothing that could block is ever opened."""
    check_file(path, largest_bytes)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _fitting_bytes(path, os.fstat(descriptor), largest_bytes)  # that of before may have been replaced
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path, largest_bytes: int) -> bytes:
    """All of a file. Errors as of `check_file`."""
    with open_file(path, largest_bytes) as stream:
        return stream.read(os.fstat(stream.fileno()).st_size)


def read_text(path: Path, largest_bytes: int = LARGEST_RECORD_BYTES) -> str:
    """A text file in UTF-8. Errors as of `check_file`; UnicodeDecodeError, a ValueError, for other bytes."""
    return read_bytes(path, largest_bytes).decode("utf-8")


def read_json(path: Path, largest_bytes: int = LARGEST_RECORD_BYTES) -> Any:
    """The value in a JSON file. Errors as of `check_file`; ValueError as of `parse_json`."""
    return parse_json(read_bytes(path, largest_bytes))


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none (NaN and infinity are none, which Python reads), or it is nested more than
            `DEEPEST_JSON` deep, where programs that go through it would run out of stack.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    level = [value]
    for _ in range(DEEPEST_JSON):
        level = [inner for outer in level for inner in _inside(outer)]
    if any(_inside(inner) or isinstance(inner, dict | list) for inner in level):
        raise ValueError(_TOO_DEEP)
    return value


_TOO_DEEP = f"expected at most {DEEPEST_JSON} levels of nesting, found more"


def _inside(value: Any) -> list[Any]:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected finite numbers, found one beyond double precision")
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"expected numbers, found {name}")


def _fitting_bytes(path: Path, status: os.stat_result, largest_bytes: int) -> int:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise UnfitFileError(path, "a regular file", KINDS.get(kind, "something else"))
    if status.st_size > largest_bytes:
        raise UnfitFileError(path, f"a file of at most {largest_bytes} bytes", f"one of {status.st_size}")
    return status.st_size
