"""Estimates over seeds: the mean of a measurement with its interval, and a row of a dot plot that shows it."""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from certifuse.evaluation.statistics import MeanInterval, t_interval


def estimate(values: Iterable[float], confidence: float) -> MeanInterval | None:
    """Mean over seeds with Student's interval; without values there is no estimate."""
    finite = [value for value in values if math.isfinite(value)]
    return t_interval(finite, confidence) if finite else None


def half_width(values: Iterable[float], confidence: float) -> float:
    """Half of the interval of the mean; NaN for fewer than two values."""
    found = estimate(values, confidence)
    return math.nan if found is None or found.high is None else found.high - found.mean


def draw_in_row(
    axes: Axes, scores: pd.DataFrame, place: float, confidence: float, colour: str, **mark: Any
) -> list[float]:
    """Every `value` of the scores as a tick at the height `place`, their mean as a mark, its interval as a bar.

    Several values of one seed are averaged first. `mark` is the mean's look. Returns the values.
    """
    found, values = estimate(scores.groupby("seed")["value"].mean(), confidence), list(scores["value"])
    if found is None:
        return []
    if found.low is not None and found.high is not None:
        axes.plot([found.low, found.high], [place, place], color=colour, lw=0.9, zorder=2)
    axes.plot(values, [place] * len(values), ls="", marker="|", ms=8, mew=0.7, color=colour, zorder=2)
    axes.plot([found.mean], [place], ls="", ms=5.5, zorder=3, **mark)
    return values
