"""Certified error against lambda at each dimension, where the study has several lambdas."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from certifuse.reporting import plot
from certifuse.reporting.cells import lambdas_of
from certifuse.reporting.certificates import notes
from certifuse.reporting.certificates.choice import best_per
from certifuse.reporting.certificates.frames import panels_of
from certifuse.reporting.drawing import NothingToShowError
from certifuse.reporting.frames import Frames, rows_with
from certifuse.study.steps.reporting import DrawFigure

SEED: dict[str, Any] = {"ls": "", "marker": ".", "ms": 4.0, "mew": 0.0, "zorder": 4}
SPREAD = 0.6
"""Share of the distance between two lambdas over which the dimensions are set side by side."""


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One panel per architecture and fusion rule with several lambdas; at each d the best number of levels."""
    certificates, grey = frames.certificates, step.style.baseline_colour
    best = {panel: best_per(panel.of_rule, ["lambda", "seed", "d"]) for panel in panels_of(certificates)}
    several = {panel: rows for panel, rows in best.items() if rows["lambda"].nunique() > 1}
    if not several:
        raise NothingToShowError("no fusion rule has certificates at more than one λ")
    shown, priors = pd.concat(several.values()), pd.concat([panel.priors for panel in several])
    looks = plot.looks_in_order(shown["d"], step.style)
    figure, places = plot.panel_grid(step.style, [panel.title for panel in several], "certified error (%)", 1.0)
    for axes, (panel, rows) in zip(places, several.items(), strict=True):
        prior, lams = panel.priors["bound_percent"], lambdas_of(rows)
        if not prior.empty:
            axes.axhline(prior.mean(), color=grey, lw=1.0, zorder=1)
        for offset, (d, look) in zip(plot.side_by_side(len(looks), SPREAD), looks.items(), strict=True):
            _draw_dimension(axes, rows_with(rows, d=d), lams, offset, look)
        plot.equidistant_axis(axes, lams)
        axes.set_ylim(plot.view_of([*shown["bound_percent"], *priors["bound_percent"]], 0.06, highest=100.0))
    alone = len(best) - len(several)
    sentences = [
        notes.sample_note(shown),
        "At each d and seed the number of levels with the lowest bound, which the code pays for.",
        "Dots: seeds." if shown["seed"].nunique() > 1 else "",
        notes.seeds_note(shown),
        f"{alone} of {len(best)} rules have certificates at one λ only and are not shown." if alone else "",
        "Values of λ are equidistant.",
    ]
    legend = {f"d = {d:,}": look.joined | {"mfc": "white"} for d, look in looks.items()}
    legend |= {} if priors.empty else {"prior, d = 0 (0 bits)": {"color": grey, "ls": "-", "lw": 1.0}}
    return plot.finish(figure, legend, sentences, step.style)


def _draw_dimension(axes: Axes, rows: pd.DataFrame, lams: list[str], offset: float, look: plot.Look) -> None:
    """The mean over seeds as a line that breaks where a lambda has no certificate, the seeds as dots."""
    if rows.empty:
        return
    means = rows.groupby("lambda")["bound_percent"].mean().reindex(lams)
    axes.plot([place + offset for place in range(len(lams))], means, **look.joined | {"mfc": "white", "zorder": 3})
    if rows["seed"].nunique() > 1:
        seeds = [lams.index(lam) + offset for lam in rows["lambda"]]
        axes.plot(seeds, rows["bound_percent"], color=look.colour, **SEED)
