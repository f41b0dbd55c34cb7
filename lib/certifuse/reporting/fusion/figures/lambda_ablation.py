"""The lambda ablation: accuracy, convergence, and the two losses against the weight of the individual losses."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from certifuse.reporting import plot, predictors
from certifuse.reporting.cells import architectures_of, fusions_of, lambdas_of, missing_cells
from certifuse.reporting.frames import Frames
from certifuse.reporting.fusion.notes import missing_note, standard_error_note
from certifuse.reporting.fusion.runs import cell_results, estimate, scores, shown_cells
from certifuse.reporting.notes import interval_note
from certifuse.reporting.predictors import PREDICTORS
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
    """One row of panels: label of its y axis, and the columns that it draws, each with its fill."""

    label: str
    filled: str
    hollow: str | None = None
    with_baselines: bool = False
    whole_numbers: bool = False
    highest: float = math.inf

    @property
    def columns(self) -> list[str]:
        """The columns that are drawn, filled first."""
        return [self.filled] if self.hollow is None else [self.filled, self.hollow]


@dataclass(frozen=True)
class Places:
    """Places of the cells of one architecture on the x axis: lambdas equidistant, fusion rules side by side."""

    lambdas: list[str]
    fusions: list[str]

    def of(self, fusion: str, lam: str) -> float:
        """The place of one rule at one lambda; the tick of a lambda is at its index."""
        return self.lambdas.index(lam) + SPREAD * ((self.fusions.index(fusion) + 0.5) / len(self.fusions) - 0.5)


def places_of(cells: pd.DataFrame) -> Places:
    """The places of the cells of one architecture."""
    return Places(lambdas_of(cells), fusions_of(cells))


def rows(convergence_tolerance: float) -> tuple[Row, ...]:
    """The rows of panels from top to bottom; `convergence_tolerance` is a fraction of accuracy."""
    points = 100 * convergence_tolerance
    return (
        Row("test top-1 accuracy (%)", "top1_percent", with_baselines=True, highest=100.0),
        Row(f"convergence epoch\n(within {points:g} points of best)", "convergence_epoch", whole_numbers=True),
        Row("training loss at best epoch\n(nats)", "loss_global", "loss_individual_per_expert"),
        Row("individual loss per expert /\nglobal loss", "loss_ratio"),
        Row("cosine of the gradients of\nboth losses at best epoch", "path_gradient_cosine", highest=1.0),
    )


def shown_architectures(cells: pd.DataFrame) -> list[str]:
    """All architectures if they are few, else those with several lambdas (all again where none has)."""
    names = architectures_of(cells)
    several = [name for name in names if len(lambdas_of(cells[cells["architecture"] == name])) > 1]
    return names if len(names) <= FEW or not several else several


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One column of panels per architecture; every seed a point, the mean a line, its interval a bar."""
    tolerance, cells = step.statistics["convergence_tolerance"], shown_cells(frames)
    labelled, shown = rows(tolerance), shown_architectures(cells)
    results = cell_results(frames.summary, frames.logs, tolerance)
    places = {name: places_of(cells[cells["architecture"] == name]) for name in shown}
    most = max(len(places[name].lambdas) for name in shown)
    widths = [max(len(places[name].lambdas) / most, NARROWEST) for name in shown]
    figure, panels = plot.architecture_columns(step.style, widths, len(labelled), height=1.0)
    for column, architecture in enumerate(shown):
        of_architecture = results[results["architecture"] == architecture]
        panels[0, column].set_title(architecture)
        for axes, row in zip(panels[:, column], labelled, strict=True):
            _draw_cells(axes, of_architecture, row, places[architecture], step)
            lines = _draw_baselines(axes, frames.summary, architecture, step) if row.with_baselines else []
            _mark_missing(axes, frames.missing, architecture, places[architecture], step)
            values = [*of_architecture[row.columns].to_numpy().ravel(), *lines]
            axes.set_ylim(plot.view_of(values, highest=row.highest))
    plot.label_rows(figure, panels, [row.label for row in labelled])
    return plot.finish(figure, _handles(frames, cells, step), _notes(frames, step), step.style)


def _draw_cells(axes: Axes, results: pd.DataFrame, row: Row, places: Places, step: DrawFigure) -> None:
    for fusion in fusions_of(results):
        for column in row.columns:
            _draw_series(axes, results[results["fusion"] == fusion], column, places, column == row.hollow, step)
    plot.lambda_axis(axes, places.lambdas)
    axes.yaxis.set_major_locator(MaxNLocator(8, steps=plot.NICE_STEPS, integer=row.whole_numbers, min_n_ticks=1))


def _draw_series(
    axes: Axes, results: pd.DataFrame, column: str, places: Places, hollow: bool, step: DrawFigure
) -> None:
    """Seeds, mean and interval of one column of one rule; the line breaks where a lambda has no result."""
    fusion = str(results["fusion"].iloc[0])
    look = plot.fusion_look(fusion, step.style)
    x, means, errors = [], [], []
    for lam in places.lambdas:
        found = estimate(results.loc[results["lambda"] == lam, column], step.confidence)
        x.append(places.of(fusion, lam))
        means.append(found.mean if found else math.nan)
        errors.append(math.nan if found is None or found.high is None else found.high - found.mean)
    face = "white" if hollow else look.colour
    bars: dict[str, Any] = {"elinewidth": 0.8, "capsize": 1.8, "zorder": 2}
    axes.errorbar(
        x, means, errors, color=look.colour, ls=look.line, marker=look.marker, ms=5.5, mfc=face, mew=0.8, **bars
    )
    seeds = [places.of(fusion, lam) for lam in results["lambda"]]
    axes.plot(seeds, results[column], **plot.seed_points(look.colour))


def _draw_baselines(axes: Axes, summary: pd.DataFrame, architecture: str, step: DrawFigure) -> list[float]:
    """A horizontal line per baseline that has a result; their heights."""
    heights = []
    for predictor in BASELINES:
        values = scores(summary, predictor, "top1_percent", architecture=architecture, fusion=BASELINE)["value"]
        found = estimate(values, step.confidence)
        if found is None:
            continue
        heights.append(found.mean)
        axes.axhline(found.mean, color=step.style.baseline_colour, ls=PREDICTORS[predictor].line, lw=1.0, zorder=1)
        if found.low is not None and found.high is not None and predictor == predictors.FINETUNED:
            axes.axhspan(found.low, found.high, color=step.style.baseline_colour, alpha=0.12, lw=0, zorder=0)
    return heights


def _mark_missing(axes: Axes, missing: pd.DataFrame, architecture: str, places: Places, step: DrawFigure) -> None:
    """A cross at the foot of the panel for each (fusion, lambda) that lacks a seed."""
    of_architecture = missing_cells(missing)[lambda cells: cells["architecture"] == architecture]
    mark: dict[str, Any] = {"marker": "x", "ms": 4.5, "mew": 1.1, "transform": axes.get_xaxis_transform()}
    for fusion, lam in of_architecture[["fusion", "lambda"]].drop_duplicates().itertuples(index=False):
        axes.plot([places.of(fusion, lam)], [0.03], ls="", color=plot.fusion_look(fusion, step.style).colour, **mark)


def _handles(frames: Frames, cells: pd.DataFrame, step: DrawFigure) -> list[Line2D]:
    grey, present = step.style.baseline_colour, set(frames.summary["predictor"])
    known = [PREDICTORS[name] for name in BASELINES if name in present]
    handles = plot.fusion_handles(fusions_of(cells), step.style)
    handles += [plot.entry(predictor.long, color=grey, ls=predictor.line, lw=1.0) for predictor in known]
    for label, face in (("global loss", grey), ("individual loss per expert", "white")):
        handles.append(plot.entry(f"{label} (loss panels)", color=grey, marker="o", ms=5, mfc=face))
    if not missing_cells(frames.missing).empty:
        handles.append(plot.entry("no result for one or more seeds", color=grey, marker="x", ms=4.5))
    return handles


def _notes(frames: Frames, step: DrawFigure) -> list[str]:
    has_control = (frames.summary["predictor"] == predictors.FINETUNED).any()
    band = ["Grey band: the same interval of the fine-tuned average."] if has_control else []
    return [
        "Small points: seeds.",
        interval_note(step.confidence),
        "Bars that leave a panel are cut.",
        *band,
        *standard_error_note(frames),
        *missing_note(frames),
        "Values of λ are equidistant; vertical scales differ between panels.",
    ]
