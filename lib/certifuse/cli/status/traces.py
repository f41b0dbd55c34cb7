"""Readers of the files that runs leave. One that is absent, half-written or vanishing says nothing; none raises."""

import csv
import math
import os
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from certifuse.base.errors import UserError
from certifuse.base.files import open_file, read_json
from certifuse.base.rows import read_rows

LOG_TAIL_BYTES = 65536


class LoggedEpochs(NamedTuple):
    """The last epoch in the CSV log of a training, its validation accuracy, the median time of an epoch.

    There is no accuracy in the logs of language models.
    """

    epoch: int | None = None
    val_accuracy_percent: float | None = None
    epoch_s: float | None = None


def json_of(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file, or an empty one."""
    try:
        value = read_json(path)
    except (OSError, ValueError, UserError):
        return {}
    return value if isinstance(value, dict) else {}


def logged_epochs(path: Path) -> LoggedEpochs:
    """The whole rows of a training's CSV log."""
    try:
        rows = read_rows(path)
    except (OSError, ValueError, csv.Error, UserError):
        return LoggedEpochs()
    columns = ("epoch", "val_accuracy", "seconds")
    values = [[number(row.get(column)) for column in columns] for row in rows]
    whole = [(epoch, accuracy, seconds) for epoch, accuracy, seconds in values if epoch and seconds is not None]
    if not whole:
        return LoggedEpochs()
    epoch, accuracy, _ = whole[-1]
    return LoggedEpochs(int(epoch), accuracy, statistics.median(seconds for _, _, seconds in whole))


def number(value: Any) -> float | None:
    """A finite number, or the text of one."""
    try:
        converted = float(value)
    except (TypeError, ValueError):
        return None
    return converted if math.isfinite(converted) else None


def last_line(path: Path) -> str:
    """The last non-empty line of a log."""
    try:
        with open_file(path) as stream:
            stream.seek(max(size(path) - LOG_TAIL_BYTES, 0))
            lines = stream.read().decode("utf-8", errors="replace").splitlines()
    except (OSError, UserError):
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def size(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def age_s(path: Path, now: float) -> float | None:
    """Seconds since a file was last written; None where there is none."""
    try:
        return now - path.stat().st_mtime
    except OSError:
        return None


def process_exists(pid: Any) -> bool:
    """True where this machine has a process with that number."""
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
