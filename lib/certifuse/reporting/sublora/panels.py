"""Parts that the SubLoRA figures share: points with their means and intervals, the vacuous line, axes."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from certifuse.reporting import plot
from certifuse.reporting.estimates import half_width
from certifuse.reporting.sublora.choice import HEADLINE, PUBLISHED
from certifuse.reporting.sublora.frames import of_models, of_modes
from certifuse.reporting.sublora.modes import is_allocation
from certifuse.study.settings.figures import FigureSettings

KL_LABEL = "complexity KL = K ln 2 (nats)"
BITS_LABEL = "code length K (bits)"
SIZE_LABEL = "compressed size (KB of 1,000 bytes)"
RISK_LABEL = "empirical BPD (bits per token)"
BOUND_LABEL = "bound (bits per token)"

VACUOUS: dict[str, Any] = {"ls": (0, (6, 2, 1, 2)), "lw": 1.0, "zorder": 1}
BARS: dict[str, Any] = {"elinewidth": 0.7, "zorder": 2}
FRONTIER: dict[str, Any] = {"ls": "-", "lw": 0.9, "zorder": 1.5}
FEWEST_TICKS = 3
LOG_STEPS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7))
NARROW = 1.5
"""Ratio of the largest to the smallest value below which no logarithm is needed."""

MOST_VACUOUS = 1.5
"""Bounds of allocations above so many times log2 V are not drawn: they would squeeze the others."""


def draw_seeds_and_mean(axes: Axes, rows: pd.DataFrame, x: str, y: str, look: plot.Look, confidence: float) -> None:
    """Every seed as a small point, their mean as the mode's mark, and t intervals in both directions."""
    axes.plot(rows[x], rows[y], **plot.seed_points(look.colour) | {"marker": look.marker, "ms": 3.4})
    errors: dict[str, Any] = {"xerr": half_width(rows[x], confidence), "yerr": half_width(rows[y], confidence)}
    axes.errorbar([rows[x].mean()], [rows[y].mean()], **errors, ls="", ms=7, ecolor=look.colour, **BARS, **look.mark)


def draw_vacuous(axes: Axes, metrics: pd.DataFrame, style: FigureSettings, vertical: bool = False) -> float:
    """The line of a uniform guess, log2 V, with what lies beyond it in grey; its place."""
    place, colour = float(metrics["vacuous_bpd"].max()), style.baseline_colour
    line, span = (axes.axvline, axes.axvspan) if vertical else (axes.axhline, axes.axhspan)
    line(place, color=colour, **VACUOUS)
    span(place, 2 * MOST_VACUOUS * place, color=colour, alpha=0.08, lw=0, zorder=0)
    return place


def highest_shown(rows: pd.DataFrame) -> float:
    """The upper end of panels of bounds: the highest of an allocation, but for hopeless ones, or the vacuous line."""
    allocated = of_modes(of_models(rows), is_allocation)
    bounds, vacuous = allocated[[HEADLINE, PUBLISHED]].to_numpy().ravel(), float(allocated["vacuous_bpd"].max())
    return float(max([vacuous, *bounds[bounds <= MOST_VACUOUS * vacuous]]))


def view_of_bounds(rows: pd.DataFrame, *others: str) -> tuple[float, float]:
    """Limits of an axis that shows both bounds and other columns of the rows up to `highest_shown`."""
    highest, values = highest_shown(rows), rows[[HEADLINE, PUBLISHED, *others]].to_numpy().ravel()
    return plot.view_of([*values[values <= highest], highest], 0.1)


def vacuous_entry(metrics: pd.DataFrame, style: FigureSettings) -> plot.Legend:
    """The legend entry of the vacuous line."""
    place = float(metrics["vacuous_bpd"].max())
    return {f"vacuous: log₂ V = {place:.4g}": {"color": style.baseline_colour, **VACUOUS}}


def linear_axis(axes: Axes, values: Sequence[float]) -> None:
    """Scale x linearly around the values, which need not begin at 0, with few ticks."""
    axes.set_xlim(plot.view_of(values, 0.1))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=plot.NICE_STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(_number))


def log_axis(axes: Axes, values: Sequence[float], margin: float = 1.25) -> None:
    """Scale x logarithmically around the values, with ticks at as many multiples of powers of ten as it takes."""
    low, high = min(values) / margin, max(values) * margin
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    powers = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    choices = [[step * power for power in powers for step in steps] for steps in LOG_STEPS]
    choices.append(list(MaxNLocator(FEWEST_TICKS, steps=plot.NICE_STEPS).tick_values(low, high)))
    inside = [[tick for tick in ticks if low <= tick <= high] for ticks in choices]
    ticks = next((ticks for ticks in inside if len(ticks) >= FEWEST_TICKS), inside[-1])
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(LogLocator(subs=tuple(range(2, 10))))
    axes.xaxis.set_major_formatter(FuncFormatter(_number))
    axes.xaxis.set_minor_formatter(NullFormatter())


def complexity_axis(axes: Axes, values: Sequence[float]) -> None:
    """Scale x linearly where the values are nearly one, else logarithmically."""
    (linear_axis if max(values) < NARROW * min(values) else log_axis)(axes, values)


def _number(value: float, _: Any = None) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
