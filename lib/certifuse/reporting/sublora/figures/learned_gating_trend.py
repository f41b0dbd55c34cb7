"""Learned splits against depth: mean and spread over seeds for every budget, the head apart."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from certifuse.reporting import plot
from certifuse.reporting.frames import Frames
from certifuse.reporting.sublora import notes
from certifuse.reporting.sublora.frames import HEAD
from certifuse.reporting.sublora.modes import EQUAL_SHARE, LEARNED
from certifuse.reporting.sublora.questions import Answer, depth_answers
from certifuse.study.steps.reporting import DrawFigure

WIDTHS, HEIGHT = (1.7, 0.4), 1.15
SPREAD = 0.24
"""Share of the distance between two layers over which budgets are set side by side."""

EQUAL: dict[str, Any] = {"ls": (0, (5, 2)), "lw": 1.0, "zorder": 1}


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """gamma by depth: every seed, the mean as a line, one standard deviation as a band, and a line at one half."""
    gates = frames.gates[frames.gates["mode"] == LEARNED]
    if gates.empty:
        raise notes.nothing_to_show("no learned split yet", frames.missing[frames.missing["mode"] == LEARNED])
    looks = plot.looks_in_order((int(d) for d in gates["d"]), step.style)
    head = gates["group"] == HEAD
    figure, grid = plot.new_panels(step.style, WIDTHS, [HEIGHT], sharey=True)
    for axes, rows in zip(grid[0], (gates[~head], gates[head]), strict=True):
        axes.axhline(EQUAL_SHARE, color=step.style.baseline_colour, **EQUAL)
        for rank, (d, look) in enumerate(looks.items()):
            offset = SPREAD * ((rank + 0.5) / len(looks) - 0.5)
            _draw_budget(axes, rows[rows["d"] == d], look, offset)
    layers, of_head = grid[0]
    depths = sorted(gates.loc[~head, "depth"].unique())
    layers.set_xticks(depths[:: -(-len(depths) // 24)])
    layers.set(xlabel="layer (depth)", ylabel="γ: share of B", title="layers")
    of_head.set_xticks(sorted(gates.loc[head, "depth"].unique()), ["head"] if head.any() else [])
    of_head.set(title="head")
    of_head.margins(x=0.6)
    layers.set_ylim(plot.view_of([*gates["gamma"], EQUAL_SHARE], 0.08))
    handles = [
        plot.entry(f"d = {d:,}", color=look.colour, ls=look.line, marker=look.marker, ms=5) for d, look in looks.items()
    ]
    half = plot.entry("γ = 0.5, equal split", color=step.style.baseline_colour, **EQUAL)
    return plot.finish(figure, [*handles, half], _notes(gates, step), step.style, digits=True)


def _draw_budget(axes: Axes, rows: pd.DataFrame, look: plot.Look, offset: float) -> None:
    if rows.empty:
        return
    by_depth = rows.groupby("depth")["gamma"]
    mean, deviation = by_depth.mean(), by_depth.std()
    x = mean.index + offset
    if len(mean) > 1:
        axes.fill_between(x, mean - deviation, mean + deviation, color=look.colour, alpha=0.15, lw=0)
    axes.errorbar(x, mean, deviation, color=look.colour, ls=look.line, marker=look.marker, ms=5, elinewidth=0.8)
    axes.plot(rows["depth"] + offset, rows["gamma"], **plot.seed_points(look.colour))


def _notes(gates: pd.DataFrame, step: DrawFigure) -> list[str]:
    slopes = "; ".join(map(_slope, depth_answers(gates, step.confidence)))
    return [
        "Small points: seeds; marks: their mean; bands and bars: one standard deviation over the seeds.",
        *([f"Slope of γ per layer ({100 * step.confidence:g}% t interval): {slopes}."] if slopes else []),
    ]


def _slope(answer: Answer) -> str:
    test = answer.tested
    interval = "" if test is None or test.low is None else f" [{test.low:+.3f}, {test.high:+.3f}]"
    return f"d = {answer.d:,}: {0.0 if test is None else test.mean:+.3f}{interval}"
