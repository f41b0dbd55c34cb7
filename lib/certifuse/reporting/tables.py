"""Tables of numbers, and how they are written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from certifuse.base.errors import UserError
from certifuse.base.files import write_text
from certifuse.base.rows import write_rows
from certifuse.reporting.latex import document

Row = dict[str, Any]

NO_LEDGER, TOTAL = "no ledger", "total"
MOST_BITS_APART = 1e-3


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


def spent_rows(names: Mapping[str, Any], charges: pd.DataFrame, code_bits: float) -> list[Row]:
    """The bits of a certificate by what they are spent on: a row per charge, and their total.

    One row that says so where there is no ledger. A code of 0 bits has shares of 0.

    Raises:
        UserError: the charges do not add up to the length of the code.
    """
    if charges.empty:
        return [{**names, "charge": NO_LEDGER}]
    if abs(charges["bits"].sum() - code_bits) > MOST_BITS_APART:
        raise UserError(
            f"ledger of {', '.join(f'{key} {value}' for key, value in names.items())}: expected charges of "
            f"{code_bits:.6g} bits together, found {charges['bits'].sum():.6g}: gather the study again"
        )
    spent = [*zip(charges["charge"], charges["bits"], strict=True), (TOTAL, code_bits)]
    shares = [100 * bits / code_bits if code_bits else 0.0 for _, bits in spent]
    return [
        {**names, "charge": name, "bits": bits, "share_percent": share}
        for (name, bits), share in zip(spent, shares, strict=True)
    ]
