"""Sentences that the figures and the page of the SubLoRA study share: the sample, the levels, and what is missing."""

import textwrap
from collections.abc import Sequence

import pandas as pd

from certifuse.reporting.drawing import NothingToShowError
from certifuse.reporting.frames import Frames
from certifuse.reporting.notes import counts_text, deltas_text
from certifuse.reporting.sublora.choice import HEADLINE, PUBLISHED, compared_levels_in_words
from certifuse.reporting.sublora.frames import SUBLORA, at_budget, grid, of_models
from certifuse.reporting.sublora.modes import mode_label, modes_in_order
from certifuse.reporting.sublora.quoting import each_by_itself, scored_text

MOST_REASONS = 2
REASON_CHARACTERS = 70


# ---- what is not there ---------------------------------------------------------------------------


def nothing_to_show(what: str, missing: pd.DataFrame) -> NothingToShowError:
    """The exception of a figure that has nothing to show: what there is none of, and why."""
    return NothingToShowError("; ".join([what, *missing_reasons(missing)]))


def nothing_at(frames: Frames, d: int, what: str) -> NothingToShowError:
    """The exception of a figure that has nothing to show at one budget d."""
    return nothing_to_show(f"no {what} at d = {d:,}", _missing(frames, d))


def missing_note(frames: Frames, d: int | None = None) -> list[str]:
    """The number of missing certificates (of a budget) and why; no sentence where all are there."""
    missing = _missing(frames, d)
    if missing.empty:
        return []
    asked = grid(frames)
    everything = len(asked if d is None else at_budget(of_models(asked), d))
    reasons = "; ".join(missing_reasons(missing))
    return [f"{len(missing)} of {everything} certificates are missing ({reasons}); means are over the seeds there are."]


def missing_reasons(missing: pd.DataFrame, most: int = MOST_REASONS) -> list[str]:
    """The most frequent reasons, each with the modes that it befell."""
    said = []
    counts = missing["reason"].value_counts()
    for reason in counts.index[:most]:
        modes = modes_in_order(missing.loc[missing["reason"] == reason, "mode"])
        said.append(f"{', '.join(map(mode_label, modes))}: {textwrap.shorten(reason, REASON_CHARACTERS)}")
    return said + ([f"{len(counts) - most} other reasons"] if len(counts) > most else [])


def reason_of(frames: Frames, d: int, mode: str) -> str:
    """The reason why a mode has no certificate at a budget."""
    missing = _missing(frames, d)
    reasons = missing.loc[missing["mode"] == mode, "reason"]
    return "not in the grid" if reasons.empty else f"missing: {textwrap.shorten(reasons.iloc[0], REASON_CHARACTERS)}"


def _missing(frames: Frames, d: int | None) -> pd.DataFrame:
    missing = frames.missing
    return missing if d is None else at_budget(missing[missing["model"] == SUBLORA], d)


# ---- notes ---------------------------------------------------------------------------------------


def sample_note(metrics: pd.DataFrame) -> str:
    """The numbers of documents and of those drawn, the vocabulary, and the confidence at which a bound holds."""
    documents, words = (counts_text(metrics[name]) for name in ("documents", "vocabulary"))
    drawn = metrics["subsample"]
    sizes = f"m = {documents} documents, {scored_text(drawn)}, V = {words}"
    return f"{sizes}, δ = {deltas_text(metrics['delta'])} {each_by_itself(drawn)}."


def cut_note(rows: pd.DataFrame, highest: float) -> list[str]:
    """The number of bounds that lie above the panels; no sentence where none does."""
    above = rows[[HEADLINE, PUBLISHED]] > highest
    modes = modes_in_order(rows.loc[above.any(axis=1), "mode"])
    said = (
        f"Not drawn: {int(above.sum().sum())} of the bounds, above {highest:.3g} ({', '.join(map(mode_label, modes))})."
    )
    return [said] if modes else []


def seeds_note(metrics: pd.DataFrame) -> list[str]:
    """The warning that a mean of bounds certifies nothing; no sentence where there is one seed."""
    if metrics["seed"].nunique() < 2:
        return []
    return ["A mean over seeds certifies nothing: a certificate is of one model."]


def levels_note(frames: Frames, budgets: Sequence[int]) -> list[str]:
    """The number of levels at which modes are compared, and the rule that chose it."""
    where = compared_levels_in_words(frames.metrics, budgets)
    if where and frames.metrics.loc[frames.metrics["model"] == SUBLORA, "levels"].nunique() < 2:
        return [f"{where} levels."]
    return [f"{where}: the number of levels with the lowest mean of our bound over all allocations."] if where else []
