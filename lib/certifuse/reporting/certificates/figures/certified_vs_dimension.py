"""Certified error against the dimension of the trained subspace, beside the 0-bit certificate of the prior."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from certifuse.reporting import plot
from certifuse.reporting.certificates import notes
from certifuse.reporting.certificates.choice import Crossing, crossings
from certifuse.reporting.certificates.frames import PRIOR, SUBSPACE, panel_title, panels_of
from certifuse.reporting.drawing import NothingToShowError
from certifuse.reporting.frames import Frames
from certifuse.study.settings.figures import FigureSettings
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
    certificates = frames.certificates
    panels = panels_of(certificates)
    if not panels:
        raise NothingToShowError(notes.NOTHING_TRAINED)
    trained = pd.concat([panel.rows(certificates, SUBSPACE) for panel in panels])
    priors = pd.concat([panel.rows(certificates, PRIOR) for panel in panels])
    looks = plot.looks_in_order(trained["levels"], step.style)
    figure, places = plot.panel_grid(step.style, len(panels), HEIGHT)
    found: list[Crossing] = []
    for axes, panel in zip(places, panels, strict=True):
        of_panel, of_prior = panel.rows(certificates, SUBSPACE), panel.rows(certificates, PRIOR)
        _draw_prior(axes, of_prior, step.style)
        for levels, rows in of_panel.groupby("levels"):
            _draw_levels(axes, rows, looks[levels])
        crossed = crossings(pd.concat([of_prior, of_panel]))
        _mark_crossings(axes, crossed, step.style)
        plot.title_panel(axes, panel_title(certificates, panel), crossing_text(crossed))
        _dimension_axis(axes, trained["d"])
        found += crossed
    for axes in places:
        axes.set_ylim(plot.view_of(_shown(trained, SERIES) + _shown(priors, PRIOR_SERIES), 0.06, highest=100.0))
    plot.label_first_column(places, "error (%)")
    sentences = [
        notes.sample_note(trained),
        notes.lambda_note(panels),
        *notes.seeds_note(trained),
        *notes.held_out_note(trained),
        *(["Bars and band: all seeds."] if trained["seed"].nunique() > 1 else []),
        *notes.gaps_note(certificates, panels),
    ]
    return plot.finish(figure, _handles(looks, trained, priors, found, step.style), sentences, step.style)


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


def _draw_prior(axes: Axes, rows: pd.DataFrame, style: FigureSettings) -> None:
    """Horizontal lines, means over seeds; the seeds' 0-bit bounds as a band."""
    if rows.empty:
        return
    for series in PRIOR_SERIES:
        axes.axhline(rows[series.column].mean(), color=style.baseline_colour, ls=series.line, lw=1.0, zorder=1)
    if len(rows) > 1:
        low, high = rows["bound_percent"].min(), rows["bound_percent"].max()
        axes.axhspan(low, high, color=style.baseline_colour, alpha=0.12, lw=0, zorder=0)


def _mark_crossings(axes: Axes, crossed: Sequence[Crossing], style: FigureSettings) -> None:
    """A ring around the certificate with which each seed passes below its 0-bit bound."""
    rows = [found.row for found in crossed if found.crosses]
    if rows:
        x, y = [row["d"] for row in rows], [row["bound_percent"] for row in rows]
        axes.plot(x, y, color=style.baseline_colour, zorder=5, **plot.RING)


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


def _handles(
    looks: dict[Any, plot.Look],
    trained: pd.DataFrame,
    priors: pd.DataFrame,
    found: Sequence[Crossing],
    style: FigureSettings,
) -> list[Line2D]:
    grey = style.baseline_colour
    handles = [
        plot.entry(f"{levels} levels", color=look.colour, marker=look.marker, ms=5) for levels, look in looks.items()
    ]
    for series in SERIES:
        if trained[series.column].notna().any():
            handles.append(plot.entry(series.label, **series.look(grey, "o")))
    if not priors.empty:
        handles += [plot.entry(one.label, color=grey, ls=one.line, lw=1.0) for one in PRIOR_SERIES]
    if any(crossing.crosses for crossing in found):
        handles.append(plot.entry("crosses the prior's 0-bit bound", color=grey, **plot.RING))
    return handles
