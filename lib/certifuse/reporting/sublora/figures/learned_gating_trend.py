"""Learned splits against depth: mean and spread over seeds for every budget, the head apart."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from certifuse.reporting import plot
from certifuse.reporting.frames import Frames, rows_with
from certifuse.reporting.sublora import notes
from certifuse.reporting.sublora.frames import HEAD
from certifuse.reporting.sublora.modes import EQUAL_SHARE, LEARNED
from certifuse.reporting.sublora.questions import depth_answers
from certifuse.study.steps.reporting import DrawFigure

WIDTHS, HEIGHT = (1.7, 0.4), 1.15
SPREAD = 0.24
"""Share of the distance between two layers over which budgets are set side by side."""

EQUAL: dict[str, Any] = {"ls": (0, (5, 2)), "lw": 1.0, "zorder": 1}


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """gamma by depth: every seed, the mean as a line, one standard deviation as a band, and a line at one half."""
    gates = rows_with(frames.gates, mode=LEARNED)
    if gates.empty:
        raise notes.nothing_to_show("no learned split yet", rows_with(frames.missing, mode=LEARNED))
    looks, grey = plot.looks_in_order(gates["d"].map(int), step.style), step.style.baseline_colour
    parts = gates[gates["group"] != HEAD], gates[gates["group"] == HEAD]
    figure, grid = plot.new_panels(step.style, WIDTHS, [HEIGHT], sharey=True)
    for axes, rows in zip(grid[0], parts, strict=True):
        axes.axhline(EQUAL_SHARE, color=grey, **EQUAL)
        for offset, (d, look) in zip(plot.side_by_side(len(looks), SPREAD), looks.items(), strict=True):
            _draw_budget(axes, rows_with(rows, d=d), look, offset)
    layers, head = grid[0]
    depths, of_head = (sorted(part["depth"].unique()) for part in parts)
    layers.set_xticks(depths[:: -(-len(depths) // 24)])
    layers.set(xlabel="layer (depth)", ylabel="γ: share of B", title="layers")
    head.set_xticks(of_head, ["head"] if of_head else [])
    head.set(title="head")
    head.margins(x=0.6)
    layers.set_ylim(plot.view_of([*gates["gamma"], EQUAL_SHARE], 0.08))
    legend = {f"d = {d:,}": look.joined for d, look in looks.items()}
    legend["γ = 0.5, equal split"] = {"color": grey, **EQUAL}
    return plot.finish(figure, legend, _notes(gates, step), step.style, digits=True)


def _draw_budget(axes: Axes, rows: pd.DataFrame, look: plot.Look, offset: float) -> None:
    if rows.empty:
        return
    by_depth = rows.groupby("depth")["gamma"]
    mean, deviation = by_depth.mean(), by_depth.std()
    x = mean.index + offset
    if len(mean) > 1:
        axes.fill_between(x, mean - deviation, mean + deviation, color=look.colour, alpha=0.15, lw=0)
    axes.errorbar(x, mean, deviation, elinewidth=0.8, **look.joined)
    axes.plot(rows["depth"] + offset, rows["gamma"], **plot.seed_points(look.colour))


def _notes(gates: pd.DataFrame, step: DrawFigure) -> list[str]:
    slopes = []
    for row in depth_answers(gates, step.confidence):
        interval = "" if row["low"] is None else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
        slopes.append(f"d = {row['budget']:,}: {row['estimate']:+.3f}{interval}")
    return [
        "Small points: seeds; marks: their mean; bands and bars: one standard deviation over the seeds.",
        f"Slope of γ per layer ({100 * step.confidence:g}% t interval): {'; '.join(slopes)}." if slopes else "",
    ]
