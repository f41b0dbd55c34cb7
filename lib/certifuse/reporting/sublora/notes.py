"""Sentences that the figures and the page of the SubLoRA study share: the sample, the levels, and what is missing."""

import textwrap
from collections.abc import Sequence

import pandas as pd

from certifuse.reporting.drawing import NothingToShowError
from certifuse.reporting.frames import Frames, rows_with
from certifuse.reporting.sublora.choice import HEADLINE, PUBLISHED, compared_levels_in_words
from certifuse.reporting.sublora.frames import SUBLORA, grid, of_models
from certifuse.reporting.sublora.modes import modes_in_words
from certifuse.reporting.sublora.quoting import each_by_itself, scored_text
from certifuse.reporting.text import counts_text, deltas_text

MOST_REASONS = 2
REASON_CHARACTERS = 70


def nothing_to_show(what: str, missing: pd.DataFrame) -> NothingToShowError:
    """The exception of a figure that has nothing to show: what there is none of, and why."""
    return NothingToShowError("; ".join([what, *missing_reasons(missing)]))


def nothing_at(frames: Frames, d: int, what: str) -> NothingToShowError:
    """The exception of a figure that has nothing to show at one budget d."""
    return nothing_to_show(f"no {what} at d = {d:,}", _of_budget(frames.missing, d))


def missing_note(frames: Frames, d: int | None = None) -> str:
    """The number of missing certificates (of a budget) and why; no sentence where all are there."""
    missing, asked = (_of_budget(rows, d) for rows in (frames.missing, grid(frames)))
    if missing.empty:
        return ""
    why = "; ".join(missing_reasons(missing))
    return f"{len(missing)} of {len(asked)} certificates are missing ({why}); means are over the seeds there are."


def missing_reasons(missing: pd.DataFrame, most: int = MOST_REASONS) -> list[str]:
    """The most frequent reasons, each with the modes that it befell."""
    counts = missing["reason"].value_counts()
    said = [
        f"{modes_in_words(rows_with(missing, reason=reason)['mode'])}: {textwrap.shorten(reason, REASON_CHARACTERS)}"
        for reason in counts.index[:most]
    ]
    return said + ([f"{len(counts) - most} other reasons"] if len(counts) > most else [])


def reason_of(frames: Frames, d: int, mode: str) -> str:
    """The reason why a mode has no certificate at a budget."""
    reasons = rows_with(frames.missing, model=SUBLORA, d=d, mode=mode)["reason"]
    return "not in the grid" if reasons.empty else f"missing: {textwrap.shorten(reasons.iloc[0], REASON_CHARACTERS)}"


def _of_budget(rows: pd.DataFrame, d: int | None) -> pd.DataFrame:
    return rows if d is None else rows_with(rows, model=SUBLORA, d=d)


def sample_note(metrics: pd.DataFrame) -> str:
    """The numbers of documents and of those drawn, the vocabulary, and the confidence at which a bound holds."""
    documents, words = (counts_text(metrics[name]) for name in ("documents", "vocabulary"))
    drawn = metrics["subsample"]
    sizes = f"m = {documents} documents, {scored_text(drawn)}, V = {words}"
    return f"{sizes}, δ = {deltas_text(metrics['delta'])} {each_by_itself(drawn)}."


def cut_note(rows: pd.DataFrame, highest: float) -> str:
    """The number of bounds that lie above the panels; no sentence where none does."""
    above = rows[[HEADLINE, PUBLISHED]] > highest
    modes = modes_in_words(rows.loc[above.any(axis=1), "mode"])
    return f"Not drawn: {int(above.sum().sum())} of the bounds, above {highest:.3g} ({modes})." if modes else ""


def seeds_note(metrics: pd.DataFrame) -> str:
    """The warning that a mean of bounds certifies nothing; no sentence where there is one seed."""
    several = metrics["seed"].nunique() > 1
    return "A mean over seeds certifies nothing: a certificate is of one model." if several else ""


def levels_note(frames: Frames, budgets: Sequence[int]) -> str:
    """The number of levels at which modes are compared, and the rule that chose it."""
    where = compared_levels_in_words(frames.metrics, budgets)
    if where and of_models(frames.metrics)["levels"].nunique() < 2:
        return f"{where} levels."
    return f"{where}: the number of levels with the lowest mean of our bound over all allocations." if where else ""
