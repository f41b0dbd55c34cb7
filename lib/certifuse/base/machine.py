"""Disk and memory of this machine: a refusal is one line, with the bytes that were needed and those that are free."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from certifuse.base.errors import UserError

_SPACE = "free some space, or set results_dir to a larger disk"
_PERMISSION = "make its directory writable, or set results_dir to another"
_PLACE = "move the file that is in the place of a directory, or set results_dir to another"
MENDS = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: _SPACE,
    errno.EIO: "check the disk",
    errno.EROFS: _PERMISSION,
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.ENOTDIR: _PLACE,
    errno.EEXIST: _PLACE,
}
"""What to do about each refusal, by its number; other errors of the system are mistakes of the program."""


class DiskError(UserError):
    """A file could not be written. What was there before is whole."""


@contextmanager
def writing(path: Path, needed_bytes: Callable[[], int]) -> Iterator[None]:
    """Turn a refusal by the disk, while `path` is written, into a DiskError. `needed_bytes` may be 0: a mere name."""
    try:
        yield
    except OSError as error:
        if error.errno not in MENDS:
            raise
        needed = needed_bytes()
        sizes = f"needs {needed} bytes, {free_bytes(path)} bytes are free: " if needed else ""
        raise DiskError(
            f"{path}: cannot be written ({os.strerror(error.errno)}): {sizes}{MENDS[error.errno]}, and give the same "
            "command again"
        ) from error


def free_bytes(path: Path) -> int:
    """Free bytes of the file system that holds `path`, or would."""
    return shutil.disk_usage(_existing(path)).free


def require_room(purpose: str, missing_bytes: Mapping[Path, int]) -> None:
    """Look, before long work, whether what it is going to write has room: bytes by directory.

    Raises:
        UserError: a directory cannot be written, or a file system has less room than that.
    """
    require_writable(missing_bytes)
    needed: dict[int, int] = {}
    for directory, missing in missing_bytes.items():
        device = directory.stat().st_dev
        needed[device] = needed.get(device, 0) + max(0, missing)
    for directory in missing_bytes:
        total, free = needed[directory.stat().st_dev], free_bytes(directory)
        if free < total:
            raise UserError(f"{directory}: {purpose} needs {total} more bytes, {free} bytes are free: {_SPACE}")


def require_writable(directories: Iterable[Path]) -> None:
    """Make the directories, and a file in each. UserError where that cannot be done."""
    for directory in directories:
        with writing(directory, lambda: 0):
            directory.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=directory).close()


def stored_bytes(path: Path) -> int:
    """Bytes of a file, or of all files below a directory; 0 where there is none."""
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that exists."""
    return next(candidate for candidate in (path, *path.absolute().parents) if candidate.exists())


def memory_bytes() -> int:
    """All memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def require_at_most(what: str, unit: str, found: int, largest: int) -> None:
    """UserError where a size, in `unit`, is beyond the largest that is taken: asked before anything of it is made."""
    if found > largest:
        raise UserError(f"{what}: expected at most {largest} {unit}, found {found}")


def require_memory(what: str, needed_bytes: int) -> None:
    """UserError where that is more than all memory of this machine."""
    total = memory_bytes()
    if needed_bytes > total:
        raise UserError(
            f"{what}: needs {needed_bytes} bytes of memory, this machine has {total}: make it smaller, or use a "
            "machine with more"
        )
