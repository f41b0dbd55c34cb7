"""What the bits of certificates are spent on: rows with the share of every charge, and their LaTeX table."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, groupby, repeat
from typing import Any

import pandas as pd

from certifuse.base.errors import UserError
from certifuse.reporting.latex import TableRow, longtable
from certifuse.reporting.tables import Row

NO_LEDGER, TOTAL = "no ledger", "total"
MOST_BITS_APART = 1e-3
SPENT = ("charge", "bits", "share_percent")
HEADERS = (("charge", "l"), ("bits", "r"), ("share (%)", "r"))


def spent_rows(names: Mapping[str, Any], charges: pd.DataFrame, code_bits: float) -> list[Row]:
    """The bits of a certificate: a row per charge, and their total.

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
    return [
        {**names, "charge": name, "bits": bits, "share_percent": 100 * bits / code_bits if code_bits else 0.0}
        for name, bits in spent
    ]


def ledger_table(
    name: str,
    caption: str,
    columns: Sequence[tuple[str, str]],
    rows: Sequence[Row],
    names: Callable[[Row], tuple[str, ...]],
) -> str:
    """The ledgers in LaTeX; the cells below `columns`, which `names` gives, stand beside the first charge."""
    lines = []
    for certificate, charges in groupby(rows, key=names):
        blank = repeat(("",) * len(certificate))
        for shown, row in zip(chain([certificate], blank), charges, strict=False):
            if row["charge"] == NO_LEDGER:
                lines.append(TableRow(shown, f"missing: {NO_LEDGER}", certificate))
                continue
            spent = (row["charge"].replace("_", " "), f"{row['bits']:,.1f}", f"{row['share_percent']:.1f}")
            lines.append(TableRow((*shown, *spent), group=certificate))
    return longtable(name, caption, (*columns, *HEADERS), lines)
