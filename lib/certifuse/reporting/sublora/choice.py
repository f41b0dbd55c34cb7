"""The number of levels at which modes are compared, and the best certificate."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from certifuse.reporting.sublora.frames import allocated_rows, at_budget, of_models

HEADLINE, PUBLISHED = "bound_best_bpd", "bound_published_bpd"
BITS_PER_KB = 8000


def compared_levels(metrics: pd.DataFrame, d: int) -> int | None:
    """The one number of levels at which all modes of a budget are compared; None where nothing has a certificate.

    It is, of those that most certificates of allocation modes have, the one with the lowest mean of our bound over all
    these modes and seeds; of equal ones the smallest.
    """
    rows = allocated_rows(metrics, d)
    if rows.empty:
        return None
    found = rows.groupby("levels")[HEADLINE].agg(["size", "mean"])
    return int(min(found.index, key=lambda levels: (-found["size"][levels], found["mean"][levels], levels)))


def compared_levels_in_words(metrics: pd.DataFrame, budgets: Sequence[int]) -> str:
    """ "L = 3" where it is one number for all budgets, else "L = 3 at d = 1,000, ..."; empty without certificates."""
    levels = {d: compared_levels(metrics, d) for d in budgets}
    known = {d: number for d, number in levels.items() if number is not None}
    if len(set(known.values())) == 1:
        return f"L = {next(iter(known.values()))}"
    return ", ".join(f"L = {number} at d = {d:,}" for d, number in known.items())


def compared_rows(metrics: pd.DataFrame, d: int) -> pd.DataFrame:
    """The certificates of all models with budget d, nulls too, at the levels where they are compared."""
    levels = compared_levels(metrics, d)
    rows = at_budget(of_models(metrics), d)
    return rows[rows["levels"] == levels] if levels is not None else rows.iloc[:0]


def mean_points(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """One row per (d, mode, levels): means over seeds."""
    return rows.groupby(["d", "mode", "levels"], dropna=False, as_index=False)[columns].mean()


def best_certificate(rows: pd.DataFrame) -> Mapping[Hashable, Any] | None:
    """The certificate with the lowest bound of ours; of equal ones the one with the fewest bits."""
    if rows.empty:
        return None
    best: Mapping[Hashable, Any] = rows.sort_values([HEADLINE, "code_bits"], kind="stable").iloc[0].to_dict()
    return best


def size_kb(code_bits: Any) -> Any:
    """Compressed size in KB of 1,000 bytes."""
    return code_bits / BITS_PER_KB
