"""Tidy CSV files: one row per observation, rewritten whole so that a reader never sees half a row."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from certifuse.base.files import open_file, write_text

LARGEST_TABLE_BYTES = 1 << 28
"""Of what is read as a table: the scores of thousands of cells have a tenth of it."""


def write_rows(path: Path, rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write the rows. Columns are those of the first row unless given; an absent value is an empty field.

    Raises:
        ValueError: a row has a key that is no column, or there is neither a row nor a list of columns.
    """
    if columns is None and not rows:
        raise ValueError(f"{path}: no rows, and no columns were given")
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(columns or rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, every value as text. UserError where it is no regular file, or too large for a table."""
    with io.TextIOWrapper(open_file(path, LARGEST_TABLE_BYTES), encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
