"""Sentences that the figures share: what a bar is, where rules are compared, what is missing, how exact a model is."""

import pandas as pd

from certifuse.evaluation.statistics import accuracy_standard_error
from certifuse.reporting.frames import Frames, architectures_of, compared_cells, grid, missing_cells
from certifuse.reporting.fusion.runs import scores
from certifuse.study.settings.evaluation import StatisticsSettings


def interval_note(statistics: StatisticsSettings) -> str:
    """What the bars are."""
    return f"Bars: {100 * statistics.confidence:g}% t interval of the mean over seeds; a single seed has none."


def compared_note(cells: pd.DataFrame) -> str:
    """At which lambda the rules stand, with those that stand at another one."""
    lams = {
        (architecture, fusion): lam
        for architecture in architectures_of(cells)
        for fusion, lam in compared_cells(cells, architecture).items()
    }
    usual = max(lams.values(), key=list(lams.values()).count)
    others = [f"{architecture} {fusion} at {lam}" for (architecture, fusion), lam in lams.items() if lam != usual]
    aside = f" ({', '.join(others)})" if others else ""
    return f"Fusion rules at λ = {usual}{aside}."


def missing_note(frames: Frames) -> list[str]:
    """How many cells have no result; no sentence where all have one."""
    missing = len(missing_cells(frames.missing))
    if not missing:
        return []
    everything = len(grid(frames.summary, frames.missing))
    return [f"{missing} of {everything} cells have no result; means are over the seeds that have one."]


def standard_error_note(frames: Frames) -> list[str]:
    """The binomial standard error of one fused model; no sentence while the number of test images is unknown."""
    if frames.n_test is None:
        return []
    accuracy = scores(frames.summary, "fused", "top1_percent")["value"].mean() / 100
    points = 100 * accuracy_standard_error(accuracy, frames.n_test)
    return [f"One model's standard error on {frames.n_test:,} test images: {points:.2f} points."]
