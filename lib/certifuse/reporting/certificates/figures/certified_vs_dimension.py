"""Certified error against the dimension of the trained subspace, beside the 0-bit certificate of the prior."""

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from certifuse.reporting import plot
from certifuse.reporting.certificates import notes
from certifuse.reporting.certificates.choice import Crossing, crossings
from certifuse.reporting.certificates.frames import shown_panels
from certifuse.reporting.frames import Frames
from certifuse.study.steps.reporting import DrawFigure

HEIGHT = 1.15
TICK_CHARACTERS = 48
"""Room for the dimensions below a panel."""


SERIES = (
    plot.Series("bound_percent", "trained: certified error", "-", 5.0),
    plot.Series("held_out_bound_percent", "trained: held-out certificate", (0, (1, 1.5)), 5.0, filled=False),
    plot.Series("risk_percent", "trained: error on the sample", (0, (5, 1.5)), 2.4),
)
PRIOR_SERIES = (
    plot.Series("bound_percent", "prior, d = 0: certified error", "-", 0.0),
    plot.Series("risk_percent", "prior, d = 0: error on the sample", (0, (5, 1.5)), 0.0),
)


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One panel per architecture and fusion rule, one line per number of levels; where training begins to pay."""
    certificates, grey = frames.certificates, step.style.baseline_colour
    panels, trained, priors = shown_panels(certificates)
    looks = plot.looks_in_order(trained["levels"], step.style)
    crossed = {panel: crossings(pd.concat([panel.priors, panel.trained])) for panel in panels}
    titles = [f"{panel.title}\n{crossing_text(found)}" for panel, found in crossed.items()]
    figure, places = plot.panel_grid(step.style, titles, "error (%)", HEIGHT)
    view = plot.view_of(_shown(trained, SERIES) + _shown(priors, PRIOR_SERIES), 0.06, highest=100.0)
    for axes, (panel, found) in zip(places, crossed.items(), strict=True):
        _draw_prior(axes, panel.priors, grey)
        for levels, rows in panel.trained.groupby("levels"):
            _draw_levels(axes, rows, looks[levels])
        if rings := [crossing.row for crossing in found if crossing.crosses]:
            x, y = [row["d"] for row in rings], [row["bound_percent"] for row in rings]
            axes.plot(x, y, color=grey, zorder=5, **plot.RING)
        _dimension_axis(axes, trained["d"])
        axes.set_ylim(view)
    sentences = [
        notes.sample_note(trained),
        notes.lambda_note(panels),
        notes.seeds_note(trained),
        notes.held_out_note(trained),
        "Bars and band: all seeds." if trained["seed"].nunique() > 1 else "",
        notes.gaps_note(certificates, panels),
    ]
    measured = [one for one in SERIES if trained[one.column].notna().any()]
    legend = {f"{levels} levels": look.points for levels, look in looks.items()}
    legend |= {one.label: one.look(grey, "o") for one in measured}
    legend |= {one.label: {"color": grey, "ls": one.line, "lw": 1.0} for one in PRIOR_SERIES if not priors.empty}
    if any(crossing.crosses for found in crossed.values() for crossing in found):
        legend["crosses the prior's 0-bit bound"] = {"color": grey, **plot.RING}
    return plot.finish(figure, legend, sentences, step.style)


def crossing_text(crossed: Sequence[Crossing]) -> str:
    """The d at which the seeds of one panel pass below the 0-bit bound, or how near they come, in words."""
    judged = [crossing for crossing in crossed if crossing.margin_points is not None]
    crossing = [crossing for crossing in judged if crossing.crosses]
    if not judged:
        return "prior not certified: no 0-bit bound"
    if not crossing:
        nearest = min(judged, key=lambda found: found.margin_points or 0.0)
        return f"no d crosses (nearest {nearest.margin_points:+.1f} points at d = {nearest.row['d']:,})"
    seeds = f" ({len(crossing)} of {len(judged)} seeds)" if len(judged) > 1 else ""
    return f"crosses at d = {min(found.row['d'] for found in crossing):,}{seeds}"


def _draw_levels(axes: Axes, rows: pd.DataFrame, look: plot.Look) -> None:
    """All measurements of one number of levels: means over seeds as lines, the range of certified seeds as bars."""
    for series in SERIES:
        means = rows.dropna(subset=[series.column]).groupby("d")[series.column].mean()
        axes.plot(means.index, means, zorder=3, **series.look(look.colour, look.marker))
    if rows["seed"].nunique() > 1:
        seeds = rows.groupby("d")["bound_percent"]
        axes.vlines(seeds.min().index, seeds.min(), seeds.max(), color=look.colour, lw=3.0, alpha=0.45, zorder=2)


def _draw_prior(axes: Axes, rows: pd.DataFrame, grey: str) -> None:
    """Horizontal lines, means over seeds; the seeds' 0-bit bounds as a band."""
    for series in PRIOR_SERIES if len(rows) else ():
        axes.axhline(rows[series.column].mean(), color=grey, ls=series.line, lw=1.0, zorder=1)
    if len(rows) > 1:
        low, high = rows["bound_percent"].min(), rows["bound_percent"].max()
        axes.axhspan(low, high, color=grey, alpha=0.12, lw=0, zorder=0)


def _dimension_axis(axes: Axes, dimensions: pd.Series) -> None:
    """Scale x logarithmically, with a tick at every dimension that occurs, or at every so many."""
    values = sorted(set(dimensions))
    fitting = TICK_CHARACTERS // (len(f"{values[-1]:,}") + 1)
    ticks = values[:: math.ceil(len(values) / fitting)]
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(values[0] / 1.4, values[-1] * 1.4)
    axes.set_xlabel("dimension d of the trained subspace")


def _shown(rows: pd.DataFrame, series: Sequence[plot.Series]) -> list[float]:
    return [value for one in series for value in rows[one.column].dropna()]
