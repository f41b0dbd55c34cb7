"""Plain text for terminals: aligned tables, short durations."""

import argparse
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import tabulate

from certifuse.base.errors import printable

NUMBER = re.compile(r"[-+0-9.,/]+")
ABSENT = "-"

tabulate.MIN_PADDING = 0  # headings need no more room than their column


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows under headings; a column of numbers is aligned right, an absent value (None) is a dash.

    Args:
        rows: the values by column; other keys are not shown.
        columns: the headings, in order.
    """
    shown = [[ABSENT if row.get(column) is None else printable(str(row[column])) for column in columns] for row in rows]
    numeric = [bool(rows) and all(NUMBER.fullmatch(line[index]) for line in shown) for index in range(len(columns))]
    aligned = ["right" if right else "left" for right in numeric]
    text: str = tabulate.tabulate(shown, columns, tablefmt="simple", colalign=aligned, disable_numparse=True)
    return text


class Screen(io.TextIOBase):
    """A stream of text in which nothing but line breaks controls the terminal behind it: see `printable`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write lines; every other character that does not print stands as its number."""
        self._stream.write("\n".join(map(printable, text.split("\n"))))
        return len(text)

    def flush(self) -> None:
        """Flush what is behind."""
        self._stream.flush()

    def fileno(self) -> int:
        """That of the stream behind."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """True where a person reads along."""
        return self._stream.isatty()


def count(number: int) -> str:
    """A count with a comma for every thousand."""
    return f"{number:,}"


def duration(seconds: float) -> str:
    """A duration in its two largest units: `2h05m`, `3m20s`, `45s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"


def shortened(text: str, length: int) -> str:
    """The text on one line, cut to at most `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 3]}..."


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text}")
    return int(text)
