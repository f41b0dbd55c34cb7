"""Code length against risk: which models no other beats in both, and what each of them is certified for."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter
from numpy.typing import NDArray

from certifuse.reporting import plot
from certifuse.reporting.certificates import notes
from certifuse.reporting.certificates.choice import best_first, best_per
from certifuse.reporting.certificates.frames import PRIOR, SUBSPACE, panel_title, panels_of
from certifuse.reporting.certificates.iso_lines import ISO_LINE, draw_iso_lines, to_fractions
from certifuse.reporting.choice import unbeaten
from certifuse.reporting.drawing import NothingToShowError
from certifuse.reporting.frames import Frames
from certifuse.study.settings.figures import FigureSettings
from certifuse.study.steps.reporting import DrawFigure

HEIGHT = 1.15
FEWEST_TICKS = 2
LABEL_WIDTH, LABEL_HEIGHT = 0.1, 0.05
"""How far apart two numbers in a panel must be, in axes fractions: one of two that are nearer is not written."""

PRIOR_MARK: dict[str, Any] = {"ls": "", "marker": "*", "ms": 9}


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One panel per architecture and fusion rule: every (d, L) as a point, its frontier as steps, one per seed."""
    certificates = frames.certificates
    panels = panels_of(certificates)
    if not panels:
        raise NothingToShowError(notes.NOTHING_TRAINED)
    shown = {panel: panel.rows(certificates, SUBSPACE) for panel in panels}
    trained = pd.concat(shown.values())
    priors = pd.concat([panel.rows(certificates, PRIOR) for panel in panels])
    looks = plot.looks_in_order(trained["levels"], step.style)
    limits = plot.view_of([*trained["risk_percent"], *priors["risk_percent"]], 0.12, highest=100.0)
    figure, places = plot.panel_grid(step.style, len(panels), HEIGHT)
    for axes, (panel, rows) in zip(places, shown.items(), strict=True):
        linear = _bits_axis(axes, trained["code_bits"])
        axes.set_ylim(max(limits[0], 0.0), limits[1])
        models = pd.concat([panel.rows(certificates, PRIOR), rows])
        _draw_models(axes, models, looks, step.style)
        draw_iso_lines(axes, int(models["examples"].min()), float(models["delta"].min()))
        plot.title_panel(axes, panel_title(certificates, panel))
    plot.label_first_column(places, "error on the certificate sample (%)")
    sentences = [
        notes.sample_note(trained),
        notes.lambda_note(panels),
        f"Grey lines: equal certified error by kl inversion; the certificates are by {_inequalities(trained)}.",
        "Numbers: d of models on a frontier, where there is room.",
        f"The bits axis is linear near 0 and logarithmic far above {linear:,.0f}.",
        *(["One frontier per seed."] if trained["seed"].nunique() > 1 else []),
        *notes.gaps_note(certificates, panels),
    ]
    return plot.finish(figure, _handles(looks, not priors.empty, step.style), sentences, step.style)


def _inequalities(trained: pd.DataFrame) -> str:
    return " or ".join(sorted(set(trained["inequality"]))).replace("_", " ")


def _draw_models(axes: Axes, models: pd.DataFrame, looks: dict[Any, plot.Look], style: FigureSettings) -> None:
    """The points, the frontier of each seed with the dimensions on it, and a ring around the best certificate."""
    trained, prior = models[models["kind"] == SUBSPACE], models[models["kind"] == PRIOR]
    for levels, rows in trained.groupby("levels"):
        look = looks[levels]
        axes.plot(rows["code_bits"], rows["risk_percent"], ls="", marker=look.marker, ms=5, color=look.colour, zorder=4)
    axes.plot(
        prior["code_bits"], prior["risk_percent"], color=style.baseline_colour, zorder=5, clip_on=False, **PRIOR_MARK
    )
    best = best_per(trained, ["scheme", "architecture", "fusion", "seed"])
    axes.plot(best["code_bits"], best["risk_percent"], color=style.baseline_colour, zorder=5, **plot.RING)
    last = axes.get_xlim()[1]
    frontiers = [unbeaten(of_seed, "code_bits", "risk_percent") for _, of_seed in models.groupby("seed")]
    for rows in frontiers:
        bits, risks = [*rows["code_bits"], last], [*rows["risk_percent"], rows["risk_percent"].iloc[-1]]
        axes.plot(bits, risks, color=style.baseline_colour, lw=1.1, drawstyle="steps-post", zorder=3)
    on_frontier = pd.concat(frontiers)
    _write_dimensions(axes, on_frontier[on_frontier["kind"] == SUBSPACE])


def _write_dimensions(axes: Axes, rows: pd.DataFrame) -> None:
    """The dimension of each model below and left of it, the best certificate's first, as far as there is room."""
    written: list[NDArray[np.float64]] = []
    for row in best_first(rows).to_dict("records"):
        place = to_fractions(axes).transform((row["code_bits"], row["risk_percent"]))
        apart = [np.abs(place - other) > (LABEL_WIDTH, LABEL_HEIGHT) for other in written]
        if all(one.any() for one in apart):
            written.append(place)
            offset: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "va": "top", "size": "x-small"}
            axes.annotate(f"{row['d']:,}", (row["code_bits"], row["risk_percent"]), (-4, -2), **offset)


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


def _handles(looks: dict[Any, plot.Look], with_prior: bool, style: FigureSettings) -> list[Line2D]:
    grey = style.baseline_colour
    return [
        *(
            plot.entry(f"{levels} levels", color=look.colour, marker=look.marker, ms=5)
            for levels, look in looks.items()
        ),
        *([plot.entry("prior (0 bits)", color=grey, **PRIOR_MARK)] if with_prior else []),
        plot.entry("Pareto frontier", color=grey, ls="-", lw=1.1),
        plot.entry("best trained certificate", color=grey, **plot.RING),
        plot.entry("equal certified error", ls="-", **ISO_LINE),
    ]
