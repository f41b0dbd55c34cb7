"""The number of levels at which modes are compared, and the best certificate."""

from collections.abc import Sequence

import pandas as pd

from certifuse.reporting.frames import rows_with
from certifuse.reporting.sublora.frames import SUBLORA, allocated_rows, of_models

HEADLINE, PUBLISHED = "bound_best_bpd", "bound_published_bpd"
BITS_PER_KB = 8000


def compared_levels(metrics: pd.DataFrame, d: int) -> int | None:
    """The one number of levels at which all modes of a budget are compared; None where nothing has a certificate.

    It is, of those that most certificates of allocation modes have, the one with the lowest mean of our bound over all
    these modes and seeds; of equal ones the smallest.
    """
    found = allocated_rows(metrics, d).groupby("levels")[HEADLINE].agg(["size", "mean"])
    best_first = found.sort_values(["size", "mean"], ascending=[False, True])
    return None if found.empty else int(best_first.index[0])


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
    return of_models(metrics).iloc[:0] if levels is None else rows_with(metrics, model=SUBLORA, d=d, levels=levels)


def mean_points(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """One row per (d, mode, levels): means over seeds."""
    return rows.groupby(["d", "mode", "levels"], dropna=False, as_index=False)[columns].mean()


def best_first(rows: pd.DataFrame) -> pd.DataFrame:
    """The certificates by rising bound of ours; of equal ones the fewest bits first."""
    return rows.sort_values([HEADLINE, "code_bits"], kind="stable")


def with_size(metrics: pd.DataFrame) -> pd.DataFrame:
    """The certificates with `size_kb`, the size of their code in KB of 1,000 bytes."""
    return metrics.assign(size_kb=metrics["code_bits"] / BITS_PER_KB)
