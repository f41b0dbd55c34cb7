"""The lambda ablation: accuracy, convergence, and the two losses against the weight of the individual losses."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from certifuse.reporting import plot, predictors
from certifuse.reporting.cells import architectures_of, fusions_of, lambdas_of, missing_cells
from certifuse.reporting.estimates import estimate, half_width
from certifuse.reporting.frames import Frames, rows_with
from certifuse.reporting.fusion.notes import missing_note, standard_error_note
from certifuse.reporting.fusion.runs import cell_results, scores, shown_cells
from certifuse.reporting.predictors import PREDICTORS
from certifuse.reporting.text import interval_note
from certifuse.study.cells import BASELINE
from certifuse.study.steps.reporting import DrawFigure

NARROWEST = 0.6
"""Least width of a column, in panels; an architecture with fewer lambdas than another gets a narrower one."""

BASELINES = (predictors.FINETUNED, predictors.PRETRAINED, predictors.SINGLE, predictors.WIDER)
FEW = 4
"""Up to this many architectures are all shown; of more, those with several lambdas."""

SPREAD = 0.64
"""Share of the distance between two lambdas over which the fusion rules are set side by side."""


@dataclass(frozen=True)
class Row:
    """One row of panels: label of its y axis, and the columns that it draws, of which the first is filled."""

    label: str
    columns: tuple[str, ...]
    with_baselines: bool = False
    whole_numbers: bool = False
    highest: float = math.inf


Places = dict[tuple[str, str], float]
"""The places of the cells (rule, lambda) of one architecture on the x axis."""


def places_of(cells: pd.DataFrame) -> Places:
    """The places of the cells of one architecture: lambdas equidistant, rules side by side around their ticks."""
    fusions = fusions_of(cells)
    offsets = dict(zip(fusions, plot.side_by_side(len(fusions), SPREAD), strict=True))
    return {
        (fusion, lam): tick + offset for tick, lam in enumerate(lambdas_of(cells)) for fusion, offset in offsets.items()
    }


def rows(convergence_tolerance: float) -> tuple[Row, ...]:
    """The rows of panels from top to bottom; `convergence_tolerance` is a fraction of accuracy."""
    points = 100 * convergence_tolerance
    return (
        Row("test top-1 accuracy (%)", ("top1_percent",), with_baselines=True, highest=100.0),
        Row(f"convergence epoch\n(within {points:g} points of best)", ("convergence_epoch",), whole_numbers=True),
        Row("training loss at best epoch\n(nats)", ("loss_global", "loss_individual_per_expert")),
        Row("individual loss per expert /\nglobal loss", ("loss_ratio",)),
        Row("cosine of the gradients of\nboth losses at best epoch", ("path_gradient_cosine",), highest=1.0),
    )


def shown_architectures(cells: pd.DataFrame) -> list[str]:
    """All architectures if they are few, else those with several lambdas (all again where none has)."""
    names = architectures_of(cells)
    several = [name for name in names if len(lambdas_of(rows_with(cells, architecture=name))) > 1]
    return names if len(names) <= FEW or not several else several


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One column of panels per architecture; every seed a point, the mean a line, its interval a bar."""
    tolerance, cells = step.statistics["convergence_tolerance"], shown_cells(frames)
    labelled, results = rows(tolerance), cell_results(frames.summary, frames.logs, tolerance)
    of = {name: rows_with(cells, architecture=name) for name in shown_architectures(cells)}
    most = max(len(lambdas_of(rows)) for rows in of.values())
    widths = {name: max(len(lambdas_of(rows)) / most, NARROWEST) for name, rows in of.items()}
    figure, panels = plot.architecture_grid(step.style, widths, [row.label for row in labelled], height=1.0)
    for column, (architecture, asked) in zip(panels.T, of.items(), strict=True):
        shown, places = rows_with(results, architecture=architecture), places_of(asked)
        for axes, row in zip(column, labelled, strict=True):
            for fusion in fusions_of(shown):
                for name in row.columns:
                    _draw_series(axes, rows_with(shown, fusion=fusion), name, places, name != row.columns[0], step)
            plot.equidistant_axis(axes, lambdas_of(asked))
            locator = MaxNLocator(8, steps=plot.NICE_STEPS, integer=row.whole_numbers, min_n_ticks=1)
            axes.yaxis.set_major_locator(locator)
            lines = _draw_baselines(axes, frames.summary, architecture, step) if row.with_baselines else []
            _mark_missing(axes, rows_with(missing_cells(frames.missing), architecture=architecture), places, step)
            values = [*shown[list(row.columns)].to_numpy().ravel(), *lines]
            axes.set_ylim(plot.view_of(values, highest=row.highest))
    return plot.finish(figure, _legend(frames, cells, step), _notes(frames, step), step.style)


def _draw_series(
    axes: Axes, results: pd.DataFrame, column: str, places: Places, hollow: bool, step: DrawFigure
) -> None:
    """Seeds, mean and interval of one column of one rule; the line breaks where a lambda has no result."""
    fusion = str(results["fusion"].iloc[0])
    look = plot.fusion_look(fusion, step.style)
    values = {x: rows_with(results, lam=lam)[column] for (rule, lam), x in places.items() if rule == fusion}
    found = [estimate(of_lam, step.confidence) for of_lam in values.values()]
    means = [math.nan if one is None else one.mean for one in found]
    errors = [half_width(of_lam, step.confidence) for of_lam in values.values()]
    bars: dict[str, Any] = {"elinewidth": 0.8, "capsize": 1.8, "zorder": 2, "mew": 0.8}
    shape = look.joined | {"ms": 5.5, "mfc": "white" if hollow else look.colour}
    axes.errorbar(list(values), means, errors, **shape, **bars)
    axes.plot([places[fusion, lam] for lam in results["lambda"]], results[column], **plot.seed_points(look.colour))


def _draw_baselines(axes: Axes, summary: pd.DataFrame, architecture: str, step: DrawFigure) -> list[float]:
    """A horizontal line per baseline that has a result; their heights."""
    heights, grey = [], step.style.baseline_colour
    for predictor in BASELINES:
        values = scores(summary, predictor, "top1_percent", architecture=architecture, fusion=BASELINE)["value"]
        found = estimate(values, step.confidence)
        if found is None:
            continue
        heights.append(found.mean)
        axes.axhline(found.mean, color=grey, ls=PREDICTORS[predictor].line, lw=1.0, zorder=1)
        if found.low is not None and found.high is not None and predictor == predictors.FINETUNED:
            axes.axhspan(found.low, found.high, color=grey, alpha=0.12, lw=0, zorder=0)
    return heights


def _mark_missing(axes: Axes, missing: pd.DataFrame, places: Places, step: DrawFigure) -> None:
    """A cross at the foot of the panel for each (fusion, lambda) that lacks a seed."""
    mark: dict[str, Any] = {"marker": "x", "ms": 4.5, "mew": 1.1, "transform": axes.get_xaxis_transform()}
    for cell in missing[["fusion", "lambda"]].drop_duplicates().itertuples(index=False, name=None):
        axes.plot([places[cell]], [0.03], ls="", color=plot.fusion_look(cell[0], step.style).colour, **mark)


def _legend(frames: Frames, cells: pd.DataFrame, step: DrawFigure) -> plot.Legend:
    grey, present = step.style.baseline_colour, set(frames.summary["predictor"])
    known = [PREDICTORS[name] for name in BASELINES if name in present]
    legend = plot.fusion_legend(fusions_of(cells), step.style)
    legend |= {predictor.long: {"color": grey, "ls": predictor.line, "lw": 1.0} for predictor in known}
    for label, face in (("global loss", grey), ("individual loss per expert", "white")):
        legend[f"{label} (loss panels)"] = {"color": grey, "marker": "o", "ms": 5, "mfc": face}
    if not missing_cells(frames.missing).empty:
        legend["no result for one or more seeds"] = {"color": grey, "marker": "x", "ms": 4.5}
    return legend


def _notes(frames: Frames, step: DrawFigure) -> list[str]:
    has_control = (frames.summary["predictor"] == predictors.FINETUNED).any()
    return [
        "Small points: seeds.",
        interval_note(step.confidence),
        "Bars that leave a panel are cut.",
        "Grey band: the same interval of the fine-tuned average." if has_control else "",
        standard_error_note(frames),
        missing_note(frames),
        "Values of λ are equidistant; vertical scales differ between panels.",
    ]
