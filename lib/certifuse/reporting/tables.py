"""Tables of numbers, and how they are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from certifuse.base.files import write_text
from certifuse.base.rows import write_rows
from certifuse.reporting.latex import document

Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A table: the columns and rows of its CSV file, and its LaTeX, where it has one."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Row]
    tex: str | None = None


def write_tables(directory: Path, tables: Sequence[Table], together: str) -> list[Path]:
    """Write every table as CSV and LaTeX, and `together`: a document of them all, to compile as it stands.

    Returns the paths.
    """
    for table in tables:
        write_rows(directory / f"{table.name}.csv", table.rows, table.columns)
    texts = {table.name: table.tex for table in tables if table.tex is not None}
    for name, text in (texts | {together: document(list(texts))}).items():
        write_text(directory / f"{name}.tex", text)
    files = [*(f"{table.name}.csv" for table in tables), *(f"{name}.tex" for name in (*texts, together))]
    return [directory / name for name in files]
