"""What may be said of a bound: of which sample, as the best of how many, and which one does not hold as it stands."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from certifuse.reporting.text import bound_text, counts_text

PAID = "bound_hoeffding_bpd"
"""The published formula, where its smoothing is paid for in both steps: it holds where `published` does not."""
UNPAID = "the published bound is for comparison: it does not pay for its smoothing in the step from the draw"


def scored_text(subsample: pd.Series) -> str:
    """ "n = 800 drawn", or "all scored" where there was no draw."""
    drawn = counts_text(int(number) for number in subsample.dropna())
    said = [f"n = {drawn} drawn"] if drawn else []
    return " or ".join([*said, *(["all scored"] if subsample.isna().any() else [])])


def each_by_itself(subsample: pd.Series) -> str:
    """At what confidence the bounds hold; the published one is exempted where documents were drawn."""
    return "for each certificate by itself" + (f"; {UNPAID}" if subsample.notna().any() else "")


def quoted_text(row: Mapping[Hashable, Any]) -> str:
    """What the best certificate is quoted at as the best of all that the study asked for."""
    candidates, bound = int(row["candidates"]), row["bound_best_of_bpd"]
    if pd.isna(bound):
        return f"as the best of {candidates} certificates it has no bound: that is more than certificates are made for"
    return f"as the best of {candidates} certificates, at delta / {candidates} in every step, {bound_text(bound)}"
