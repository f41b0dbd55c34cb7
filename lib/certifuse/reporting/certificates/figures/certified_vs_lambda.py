"""Certified error against lambda at each dimension, where the study has several lambdas."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from certifuse.reporting import plot
from certifuse.reporting.cells import lambdas_of
from certifuse.reporting.certificates import notes
from certifuse.reporting.certificates.choice import best_per
from certifuse.reporting.certificates.frames import PRIOR, SUBSPACE, Panel, family_rows, panel_title, panels_of
from certifuse.reporting.drawing import NothingToShowError
from certifuse.reporting.frames import Frames
from certifuse.study.settings.figures import FigureSettings
from certifuse.study.steps.reporting import DrawFigure

SEED: dict[str, Any] = {"ls": "", "marker": ".", "ms": 4.0, "mew": 0.0, "zorder": 4}
SPREAD = 0.6
"""Share of the distance between two lambdas over which the dimensions are set side by side."""


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One panel per architecture and fusion rule with several lambdas; at each d the best number of levels."""
    certificates = frames.certificates
    best = {panel: best_of_levels(certificates, panel) for panel in panels_of(certificates)}
    several = {panel: rows for panel, rows in best.items() if rows["lambda"].nunique() > 1}
    if not several:
        raise NothingToShowError("no fusion rule has certificates at more than one λ")
    shown = pd.concat(several.values())
    priors = pd.concat([panel.rows(certificates, PRIOR) for panel in several])
    looks = plot.looks_in_order(shown["d"], step.style)
    figure, places = plot.panel_grid(step.style, len(several))
    for axes, (panel, rows) in zip(places, several.items(), strict=True):
        _draw_prior(axes, panel.rows(certificates, PRIOR), step.style)
        lams = lambdas_of(rows)
        for rank, (d, look) in enumerate(looks.items()):
            offset = SPREAD * ((rank + 0.5) / len(looks) - 0.5)
            _draw_dimension(axes, rows[rows["d"] == d], lams, offset, look)
        plot.lambda_axis(axes, lams)
        axes.set_ylim(plot.view_of([*shown["bound_percent"], *priors["bound_percent"]], 0.06, highest=100.0))
        plot.title_panel(axes, panel_title(certificates, panel))
    plot.label_first_column(places, "certified error (%)")
    alone = len(best) - len(several)
    sentences = [
        notes.sample_note(shown),
        "At each d and seed the number of levels with the lowest bound, which the code pays for.",
        *(["Dots: seeds.", *notes.seeds_note(shown)] if shown["seed"].nunique() > 1 else []),
        *([f"{alone} of {len(best)} rules have certificates at one λ only and are not shown."] if alone else []),
        "Values of λ are equidistant.",
    ]
    return plot.finish(figure, _handles(looks, not priors.empty, step.style), sentences, step.style)


def best_of_levels(certificates: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """The best certificate at each lambda, seed and d of the panel's architecture and rule."""
    rows = family_rows(certificates, SUBSPACE, panel.scheme, panel.architecture)
    return best_per(rows[rows["fusion"] == panel.fusion], ["lambda", "seed", "d"])


def _draw_dimension(axes: Axes, rows: pd.DataFrame, lams: list[str], offset: float, look: plot.Look) -> None:
    """The mean over seeds as a line that breaks where a lambda has no certificate, the seeds as dots."""
    if rows.empty:
        return
    means = rows.groupby("lambda")["bound_percent"].mean().reindex(lams)
    x = [place + offset for place in range(len(lams))]
    axes.plot(x, means, color=look.colour, ls=look.line, marker=look.marker, ms=5, mfc="white", zorder=3)
    if rows["seed"].nunique() > 1:
        seeds = [lams.index(lam) + offset for lam in rows["lambda"]]
        axes.plot(seeds, rows["bound_percent"], color=look.colour, **SEED)


def _draw_prior(axes: Axes, rows: pd.DataFrame, style: FigureSettings) -> None:
    if not rows.empty:
        axes.axhline(rows["bound_percent"].mean(), color=style.baseline_colour, lw=1.0, zorder=1)


def _handles(looks: dict[Any, plot.Look], with_prior: bool, style: FigureSettings) -> list[Line2D]:
    open_mark: dict[str, Any] = {"ms": 5, "mfc": "white"}
    handles = [
        plot.entry(f"d = {d:,}", color=look.colour, marker=look.marker, ls=look.line, **open_mark)
        for d, look in looks.items()
    ]
    if with_prior:
        handles.append(plot.entry("prior, d = 0 (0 bits)", color=style.baseline_colour, ls="-", lw=1.0))
    return handles
