"""A CSV table as a reader sees it: numbers with the digits that they deserve, and bounds rounded up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from certifuse.base.manifest import check_as_written
from certifuse.evaluation.bounds.rounding import lower, upper
from certifuse.reporting.frames import records
from certifuse.reporting.start_page.captions import TITLES
from certifuse.reporting.tables import Row
from certifuse.reporting.text import p_value

BOUNDS = ("bound", "zero_bit_percent")
VACUOUS_PERCENT = 100.0
POINT_DIGITS = 2
"""After the point of percentages and points."""
SIGNIFICANT_DIGITS = 4


@dataclass(frozen=True)
class Entry:
    """One cell of a table: what is shown, and the number behind it, by which a column is sorted."""

    text: str
    number: float | None = None


@dataclass(frozen=True)
class Grid:
    """A table to be shown: name, caption, headers, entries, and the files that hold it with every digit.

    One that is `folded` opens at a click.
    """

    name: str
    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Entry]]
    files: Sequence[str] = ()
    folded: bool = False

    @property
    def title(self) -> str:
        """The name in words."""
        return TITLES.get(self.name, self.name.replace("_", " "))


def grid(name: str, caption: str, columns: Sequence[str], rows: Sequence[Row], files: Sequence[str] = ()) -> Grid:
    """The table of these rows, folded; columns without a single value are left out."""
    filled = [column for column in columns if any(row.get(column) not in (None, "") for row in rows)]
    entries = [[entry(column, row.get(column), row) for column in filled] for row in rows]
    return Grid(name, caption, [header(column) for column in filled], entries, files, folded=True)


def read_grid(path: Path, name: str, caption: str, files: Sequence[str]) -> Grid:
    """The table in a CSV file.

    Raises:
        UserError: the file is not as it was written.
    """
    check_as_written(path)
    frame = pd.read_csv(path, dtype={"lambda": "str", "seed_list": "str", "crossing_d": "str"}, na_values=[""])
    return grid(name, caption, list(frame.columns), records(frame.convert_dtypes()), files)


def header(column: str) -> str:
    """The name of a column in words, with its unit where it has one."""
    words = column.replace("lambda", "λ")
    for ending, unit in {"_percent": " (%)", "_points": " (points)", "_bpd": " (bits per token)"}.items():
        stem, found, rest = words.partition(ending)
        if found:
            words = f"{stem}{rest}{unit}"
    return words.replace("_", " ")


def entry(column: str, value: Any, row: Row) -> Entry:
    """The entry of a value: of a bound no less than it is, of a count with its thousands apart, else as text."""
    if value is None or value == "":
        return Entry("")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Entry(str(value))
    number = float(value)
    if isinstance(value, int) and not _is_bound(column):
        return Entry(str(value) if column == "seed" else f"{value:,}", number)
    return Entry(_number(column, number) + _vacuous(column, number, row), number)


def _number(column: str, number: float) -> str:
    in_percent = "percent" in column or "points" in column
    digits = POINT_DIGITS if in_percent else _digits(number)
    if _is_bound(column):
        return (lower if column.endswith("_low") else upper)(number, digits)
    if column.startswith("p_") or column.endswith(("_p", "_p_holm")):
        return p_value(number)
    short = f"{number:,.{digits}f}"
    is_whole = not in_percent and float(short.replace(",", "")) == number
    return (f"{number:,}" if is_whole else short).replace("-", "−")


def _digits(number: float) -> int:
    """Digits after the point for a few significant ones."""
    if number == 0 or not math.isfinite(number):
        return 0
    return max(0, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(number))))


def _is_bound(column: str) -> bool:
    return any(word in column for word in BOUNDS)


def _vacuous(column: str, number: float, row: Row) -> str:
    if not _is_bound(column) or column.endswith(("_low", "_high")):
        return ""
    line = VACUOUS_PERCENT if column.endswith("percent") else row.get("vacuous_bpd") if "bpd" in column else None
    return " (vacuous)" if line is not None and number >= line else ""
