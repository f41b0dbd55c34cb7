"""What the figures of the SubLoRA study share: points with their means and intervals, the vacuous line, and notes."""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from certifuse.reporting.certificate_layout import nothing_to_draw
from certifuse.reporting.runs import estimate
from certifuse.reporting.style import NICE_STEPS, FigureStep, note_below, seed_points, view_of
from certifuse.reporting.sublora_choice import HEADLINE, PUBLISHED, compared_levels
from certifuse.reporting.sublora_frames import SUBLORA, SubloraFrames, at_budget, grid, of_models
from certifuse.reporting.sublora_modes import ModeLook, mode_label, modes_in_order
from certifuse.settings.figures import FigureSettings

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

DIGITS_WIDER = 0.93
"""Share of a figure's width that is given to a note, because notes here are full of digits, which are wide."""

MOST_REASONS = 2
REASON_CHARACTERS = 70


def half_width(values: pd.Series, confidence: float) -> float:
    """Half of the t interval of the mean; NaN for fewer than two values."""
    found = estimate(values, confidence)
    return math.nan if found is None or found.high is None else found.high - found.mean


def draw_seeds_and_mean(axes: Axes, rows: pd.DataFrame, x: str, y: str, look: ModeLook, confidence: float) -> None:
    """Every seed as a small point, their mean as the mode's mark, and t intervals in both directions."""
    axes.plot(rows[x], rows[y], **seed_points(look.colour) | {"marker": look.marker, "ms": 3.4})
    errors: dict[str, Any] = {"xerr": half_width(rows[x], confidence), "yerr": half_width(rows[y], confidence)}
    axes.errorbar([rows[x].mean()], [rows[y].mean()], **errors, ls="", ms=7, ecolor=look.colour, **BARS, **look.mark)


def draw_vacuous(axes: Axes, metrics: pd.DataFrame, style: FigureSettings, vertical: bool = False) -> float:
    """The line of a uniform guess, log2 V; its place."""
    place = float(metrics["vacuous_bpd"].max())
    line = axes.axvline if vertical else axes.axhline
    line(place, color=style.baseline_colour, **VACUOUS)
    return place


def view_to_vacuous(axes: Axes, values: Sequence[float], vacuous: float) -> None:
    """Limits of y around the values that are not vacuous, and the vacuous line at the top."""
    axes.set_ylim(view_of([*(value for value in values if value < vacuous), vacuous], 0.06, highest=vacuous))


def vacuous_handle(metrics: pd.DataFrame, style: FigureSettings) -> Line2D:
    """Its legend entry."""
    place = float(metrics["vacuous_bpd"].max())
    return Line2D([], [], color=style.baseline_colour, **VACUOUS, label=f"vacuous: log₂ V = {place:.4g}")


def draw_frontier(axes: Axes, points: pd.DataFrame, x: str, y: str, style: FigureSettings) -> None:
    """Steps through points that none beats, on to the right edge of the panel."""
    if not points.empty:
        xs, ys = [*points[x], axes.get_xlim()[1]], [*points[y], points[y].iloc[-1]]
        axes.plot(xs, ys, color=style.baseline_colour, drawstyle="steps-post", **FRONTIER)


def linear_axis(axes: Axes, values: Sequence[float]) -> None:
    """Linear x around the values, which need not begin at 0, with few ticks."""
    axes.set_xlim(view_of(values, 0.1))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=NICE_STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(_number))


def log_axis(axes: Axes, values: Sequence[float], margin: float = 1.25) -> None:
    """Logarithmic x around the values, with as many multiples of powers of ten as ticks as it takes."""
    low, high = min(values) / margin, max(values) * margin
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    powers = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    choices = [[step * power for power in powers for step in steps] for steps in LOG_STEPS]
    choices.append(list(MaxNLocator(FEWEST_TICKS, steps=NICE_STEPS).tick_values(low, high)))
    inside = [[tick for tick in ticks if low <= tick <= high] for ticks in choices]
    ticks = next((ticks for ticks in inside if len(ticks) >= FEWEST_TICKS), inside[-1])
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(LogLocator(subs=tuple(range(2, 10))))
    axes.xaxis.set_major_formatter(FuncFormatter(_number))
    axes.xaxis.set_minor_formatter(NullFormatter())


def complexity_axis(axes: Axes, values: Sequence[float]) -> None:
    """Linear where the values are nearly one, else logarithmic."""
    (linear_axis if max(values) < NARROW * min(values) else log_axis)(axes, values)


def _number(value: float, _: Any = None) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def note_under(figure: Figure, sentences: Sequence[str], style: FigureSettings) -> None:
    """`note_below` with lines short enough for digits."""
    width = figure.get_figwidth()
    figure.set_figwidth(DIGITS_WIDER * width)
    note_below(figure, sentences, style)
    figure.set_figwidth(width)


# ---- what is not there ---------------------------------------------------------------------------


def nothing_at(frames: SubloraFrames, step: FigureStep, d: int, what: str) -> Figure:
    """A figure that says why this budget has nothing to show."""
    return nothing_to_draw(step, "; ".join([f"no {what} at d = {d:,}", *missing_reasons(_missing(frames, d))]))


def missing_note(frames: SubloraFrames, d: int | None = None) -> list[str]:
    """How many certificates (of a budget) are missing and why; no sentence where all are there."""
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


def reason_of(frames: SubloraFrames, d: int, mode: str) -> str:
    """Why a mode has no certificate at a budget."""
    missing = _missing(frames, d)
    reasons = missing.loc[missing["mode"] == mode, "reason"]
    return "not in the grid" if reasons.empty else f"missing: {textwrap.shorten(reasons.iloc[0], REASON_CHARACTERS)}"


def _missing(frames: SubloraFrames, d: int | None) -> pd.DataFrame:
    missing = frames.missing
    return missing if d is None else at_budget(missing[missing["model"] == SUBLORA], d)


# ---- notes ---------------------------------------------------------------------------------------


def sample_note(metrics: pd.DataFrame) -> str:
    """How many documents there are, how many were drawn, and with what confidence a bound holds."""
    parts = [f"m = {_counts(metrics['documents'])} documents", f"n = {_counts(metrics['subsample'])} drawn"]
    deltas = " or ".join(f"{delta:g}" for delta in sorted(metrics["delta"].unique()))
    return f"{', '.join(parts)}, V = {_counts(metrics['vocabulary'])}, δ = {deltas} for each certificate by itself."


def cut_note(rows: pd.DataFrame) -> list[str]:
    """How many bounds lie above the vacuous line, where panels end; no sentence where none does."""
    vacuous = rows[[HEADLINE, PUBLISHED]].gt(rows["vacuous_bpd"], axis=0)
    above, modes = int(vacuous.sum().sum()), modes_in_order(rows.loc[vacuous.any(axis=1), "mode"])
    return [f"{above} vacuous bounds are not drawn ({', '.join(map(mode_label, modes))})."] if above else []


def seeds_note(metrics: pd.DataFrame) -> list[str]:
    """That a mean of bounds certifies nothing; no sentence where there is one seed."""
    if metrics["seed"].nunique() < 2:
        return []
    return ["A mean over seeds certifies nothing: a certificate is of one model."]


def levels_note(frames: SubloraFrames, budgets: Sequence[int]) -> list[str]:
    """At which number of levels modes are compared, and by what rule."""
    levels = {d: compared_levels(frames.metrics, d) for d in budgets}
    known = {d: number for d, number in levels.items() if number is not None}
    if frames.metrics.loc[frames.metrics["model"] == SUBLORA, "levels"].nunique() < 2:
        return [f"L = {number} levels." for number in sorted(set(known.values()))]
    where = ", ".join(f"L = {number} at d = {d:,}" for d, number in known.items())
    where = where if len(set(known.values())) > 1 else ", ".join(f"L = {number}" for number in set(known.values()))
    return [f"{where}: the number of levels with the lowest mean of our bound over all allocations."] if known else []


def _counts(numbers: pd.Series) -> str:
    return " or ".join(f"{number:,}" for number in sorted(numbers.unique()))
