"""Code length against risk: which models no other beats in both, and what each of them is certified for."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter
from numpy.typing import NDArray

from certifuse.reporting import plot
from certifuse.reporting.certificates import notes
from certifuse.reporting.certificates.choice import FAMILY, best_first, best_per
from certifuse.reporting.certificates.frames import PRIOR, SUBSPACE, shown_panels
from certifuse.reporting.certificates.iso_lines import ISO_LINE, draw_iso_lines, to_fractions
from certifuse.reporting.frames import Frames, records, rows_with
from certifuse.reporting.frontier import draw_frontier
from certifuse.study.steps.reporting import DrawFigure

BITS, RISK = "code_bits", "risk_percent"
HEIGHT = 1.15
FEWEST_TICKS = 2
LABEL_WIDTH, LABEL_HEIGHT = 0.1, 0.05
"""How far apart two numbers in a panel must be, in axes fractions: one of two that are nearer is not written."""

PRIOR_MARK: dict[str, Any] = {"ls": "", "marker": "*", "ms": 9}


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One panel per architecture and fusion rule: every (d, L) as a point, its frontier as steps, one per seed."""
    certificates, grey = frames.certificates, step.style.baseline_colour
    panels, trained, priors = shown_panels(certificates)
    looks = plot.looks_in_order(trained["levels"], step.style)
    low, high = plot.view_of([*trained["risk_percent"], *priors["risk_percent"]], 0.12, highest=100.0)
    titles = [panel.title for panel in panels]
    figure, places = plot.panel_grid(step.style, titles, "error on the certificate sample (%)", HEIGHT)
    for axes, panel in zip(places, panels, strict=True):
        linear = _bits_axis(axes, trained["code_bits"])
        axes.set_ylim(max(low, 0.0), high)
        models = pd.concat([panel.priors, panel.trained])
        _draw_models(axes, models, looks, grey)
        draw_iso_lines(axes, int(models["examples"].min()), float(models["delta"].min()))
    inequalities = " or ".join(sorted(set(trained["inequality"]))).replace("_", " ")
    sentences = [
        notes.sample_note(trained),
        notes.lambda_note(panels),
        f"Grey lines: equal certified error by kl inversion; the certificates are by {inequalities}.",
        "Numbers: d of models on a frontier, where there is room.",
        f"The bits axis is linear near 0 and logarithmic far above {linear:,.0f}.",
        "One frontier per seed." if trained["seed"].nunique() > 1 else "",
        notes.gaps_note(certificates, panels),
    ]
    legend = {f"{levels} levels": look.points for levels, look in looks.items()}
    legend |= {} if priors.empty else {"prior (0 bits)": {"color": grey, **PRIOR_MARK}}
    legend |= {
        "Pareto frontier": {"color": grey, "ls": "-", "lw": 1.1},
        "best trained certificate": {"color": grey, **plot.RING},
        "equal certified error": {"ls": "-", **ISO_LINE},
    }
    return plot.finish(figure, legend, sentences, step.style)


def _draw_models(axes: Axes, models: pd.DataFrame, looks: dict[Any, plot.Look], grey: str) -> None:
    """The points, the frontier of each seed with the dimensions on it, and a ring around the best certificate."""
    trained, prior = rows_with(models, kind=SUBSPACE), rows_with(models, kind=PRIOR)
    for levels, rows in trained.groupby("levels"):
        axes.plot(rows[BITS], rows[RISK], ls="", zorder=4, **looks[levels].points)
    axes.plot(prior[BITS], prior[RISK], color=grey, zorder=5, clip_on=False, **PRIOR_MARK)
    best = best_per(trained, FAMILY)
    axes.plot(best[BITS], best[RISK], color=grey, zorder=5, **plot.RING)
    frontiers = [
        draw_frontier(axes, of_seed, BITS, RISK, color=grey, lw=1.1, zorder=3) for _, of_seed in models.groupby("seed")
    ]
    _write_dimensions(axes, rows_with(pd.concat(frontiers), kind=SUBSPACE))


def _write_dimensions(axes: Axes, rows: pd.DataFrame) -> None:
    """The dimension of each model below and left of it, the best certificate's first, as far as there is room."""
    written: list[NDArray[np.float64]] = []
    for row in records(best_first(rows)):
        place = to_fractions(axes).transform((row[BITS], row[RISK]))
        apart = [np.abs(place - other) > (LABEL_WIDTH, LABEL_HEIGHT) for other in written]
        if all(one.any() for one in apart):
            written.append(place)
            offset: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "va": "top", "size": "x-small"}
            axes.annotate(f"{row['d']:,}", (row[BITS], row[RISK]), (-4, -2), **offset)


def _bits_axis(axes: Axes, code_bits: pd.Series) -> float:
    """Scale x linearly near 0, logarithmically far above a third of the shortest code; return that third, one digit."""
    shortest, longest = max(float(code_bits.min()), 3.0), max(float(code_bits.max()), 3.0)
    first, last = float(f"{shortest / 3:.1g}"), 1.6 * longest
    powers = [10**exponent for exponent in range(math.floor(math.log10(first)), math.ceil(math.log10(last)))]
    multiples = [step * power for power in powers for step in range(1, 10) if first < step * power < last]
    ticks = [value for value in multiples if value in powers]
    if len(ticks) < FEWEST_TICKS:
        ticks = [value for value in multiples if f"{value:e}"[0] in "125"]
    axes.set_xscale("asinh", linear_width=first)
    axes.xaxis.set_major_locator(FixedLocator([0, *ticks]))
    axes.xaxis.set_minor_locator(FixedLocator(multiples))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda bits, _: f"{bits:,.0f}"))
    axes.set_xlim(-0.2 * first, last)
    axes.set_xlabel("code length K (bits)")
    return first
