"""The lambda ablation: accuracy, convergence, and the two losses against the weight of the individual losses."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from certifuse.reporting.frames import (
    BASELINE,
    CELL,
    Frames,
    architectures_of,
    fusions_of,
    grid,
    lambdas_of,
    missing_cells,
)
from certifuse.reporting.notes import interval_note, missing_note, standard_error_note
from certifuse.reporting.runs import best_epochs, estimate, scores
from certifuse.reporting.style import (
    FigureStep,
    architecture_columns,
    fusion_look,
    label_rows,
    legend_above,
    note_below,
    seed_points,
    view_of,
)
from certifuse.settings.figures import FigureSettings

FEW = 4
"""Up to this many architectures are all shown; of more, those with several lambdas."""

SPREAD = 0.64
"""Share of the distance between two lambdas over which the fusion rules are set side by side."""

BASELINES = {
    "probability_average_finetuned": ("average of experts fine-tuned on the fusion images", "-"),
    "probability_average_before": ("average of experts as pre-trained", (0, (6, 2))),
    "single": ("one model on all training images", (0, (1, 1.5))),
}


@dataclass(frozen=True)
class Row:
    """One row of panels: label of its y axis, and the columns that it draws, each with its fill."""

    label: str
    filled: str
    hollow: str | None = None
    with_baselines: bool = False

    @property
    def columns(self) -> list[str]:
        """What is drawn, filled first."""
        return [self.filled] if self.hollow is None else [self.filled, self.hollow]


def rows(step: FigureStep) -> tuple[Row, ...]:
    """From top to bottom."""
    points = 100 * step.statistics.convergence_tolerance
    return (
        Row("test top-1 accuracy (%)", "top1_percent", with_baselines=True),
        Row(f"convergence epoch\n(within {points:g} points of best)", "convergence_epoch"),
        Row("training loss at best epoch\n(nats)", "loss_global", "loss_individual_per_expert"),
        Row("individual loss per expert /\nglobal loss", "loss_ratio"),
    )


def lambda_ablation(frames: Frames, step: FigureStep) -> Figure:
    """One column of panels per architecture; every seed a point, the mean a line, its interval a bar."""
    cells = grid(frames.summary, frames.missing)
    shown = shown_architectures(cells)
    results = cell_results(frames, step)
    lambdas = {architecture: lambdas_of(cells[cells["architecture"] == architecture]) for architecture in shown}
    most = max(map(len, lambdas.values()))
    widths = [max(len(lambdas[architecture]) / most, 0.6) for architecture in shown]
    figure, panels = architecture_columns(step.style, widths, len(rows(step)), height=1.0)
    for column, architecture in enumerate(shown):
        of_architecture = results[results["architecture"] == architecture]
        panels[0, column].set_title(architecture)
        for axes, row in zip(panels[:, column], rows(step), strict=True):
            _draw_cells(axes, of_architecture, row, lambdas[architecture], fusions_of(cells), step)
            lines = _draw_baselines(axes, frames.summary, architecture, step) if row.with_baselines else []
            axes.set_ylim(view_of([*of_architecture[row.columns].to_numpy().ravel(), *lines]))
            axes.set_xlabel("loss weight λ")
        _mark_missing(panels[:, column], frames, architecture, lambdas[architecture], fusions_of(cells), step.style)
    label_rows(figure, panels, [row.label for row in rows(step)])
    legend_above(figure, _handles(frames, cells, step.style), step.style)
    note_below(figure, _notes(frames, step), step.style)
    return figure


def shown_architectures(cells: pd.DataFrame) -> list[str]:
    """All architectures if they are few, else those with several lambdas (all again where none has)."""
    names = architectures_of(cells)
    several = [name for name in names if len(lambdas_of(cells[cells["architecture"] == name])) > 1]
    return names if len(names) <= FEW or not several else several


def cell_results(frames: Frames, step: FigureStep) -> pd.DataFrame:
    """One row per finished cell: its test accuracy and what its training log says."""
    accuracy = scores(frames.summary, "fused", "top1_percent").rename(columns={"value": "top1_percent"})
    training = best_epochs(frames.logs, step.statistics.convergence_tolerance)
    return accuracy[[*CELL, "top1_percent"]].merge(training, on=CELL, how="left", validate="one_to_one")


def _offset(fusion: str, fusions: list[str]) -> float:
    """Where a rule stands beside the tick of its lambda."""
    return SPREAD * ((fusions.index(fusion) + 0.5) / len(fusions) - 0.5)


def _draw_cells(
    axes: Axes, results: pd.DataFrame, row: Row, lambdas: list[str], fusions: list[str], step: FigureStep
) -> None:
    for fusion in fusions:
        of_fusion = results[results["fusion"] == fusion]
        if of_fusion.empty:
            continue
        for column in row.columns:
            _draw_series(axes, of_fusion, column, lambdas, _offset(fusion, fusions), column == row.hollow, step)
    axes.set_xticks(range(len(lambdas)), lambdas)
    axes.set_xlim(-0.5, len(lambdas) - 0.5)
    axes.grid(axis="x", visible=False)


def _draw_series(
    axes: Axes, results: pd.DataFrame, column: str, lambdas: list[str], offset: float, hollow: bool, step: FigureStep
) -> None:
    look = fusion_look(str(results["fusion"].iloc[0]), step.style)
    places, means, lows, highs = [], [], [], []
    for place, lam in enumerate(lambdas):
        values = results.loc[results["lambda"] == lam, column]
        found = estimate(values, step.statistics.confidence)
        places.append(place + offset)
        means.append(found.mean if found else float("nan"))
        lows.append(0.0 if found is None or found.low is None else found.mean - found.low)
        highs.append(0.0 if found is None or found.high is None else found.high - found.mean)
    seeds = results["lambda"].map(lambdas.index) + offset
    face = "white" if hollow else look.colour
    shape = {"color": look.colour, "ls": look.line, "marker": look.marker, "ms": 5.5, "mfc": face, "mew": 0.8}
    axes.errorbar(places, means, yerr=[lows, highs], elinewidth=0.8, capsize=1.8, zorder=2, **shape)
    axes.plot(seeds, results[column], **seed_points(look.colour))


def _draw_baselines(axes: Axes, summary: pd.DataFrame, architecture: str, step: FigureStep) -> list[float]:
    """A horizontal line per baseline that has a result; their heights."""
    heights = []
    for predictor, (_, line) in BASELINES.items():
        values = scores(summary, predictor, "top1_percent", architecture=architecture, fusion=BASELINE)["value"]
        found = estimate(values, step.statistics.confidence)
        if found is None:
            continue
        heights.append(found.mean)
        axes.axhline(found.mean, color=step.style.baseline_colour, ls=line, lw=1.0, zorder=1)
        if found.low is not None and predictor == "probability_average_finetuned":
            axes.axhspan(found.low, found.high, color=step.style.baseline_colour, alpha=0.12, lw=0, zorder=0)
    return heights


def _mark_missing(
    panels: Sequence[Axes],
    frames: Frames,
    architecture: str,
    lambdas: list[str],
    fusions: list[str],
    style: FigureSettings,
) -> None:
    """A cross on the rail at the foot of every panel for each (fusion, lambda) that lacks a seed."""
    missing = missing_cells(frames.missing)
    gaps = missing.loc[missing["architecture"] == architecture, ["fusion", "lambda"]].drop_duplicates()
    for fusion, lam in gaps.itertuples(index=False):
        place = lambdas.index(lam) + _offset(fusion, fusions)
        for axes in panels:
            mark = {"marker": "x", "ms": 4.5, "mew": 1.1, "color": fusion_look(fusion, style).colour}
            axes.plot([place], [0.03], ls="", clip_on=False, transform=axes.get_xaxis_transform(), **mark)


def _handles(frames: Frames, cells: pd.DataFrame, style: FigureSettings) -> list[Line2D]:
    looks = {fusion: fusion_look(fusion, style) for fusion in fusions_of(cells)}
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, ls=look.line, ms=5, label=fusion)
        for fusion, look in looks.items()
    ]
    present = set(frames.summary["predictor"])
    handles += [
        Line2D([], [], color=style.baseline_colour, ls=line, lw=1.0, label=label)
        for predictor, (label, line) in BASELINES.items()
        if predictor in present
    ]
    grey = style.baseline_colour
    for label, face in (("global loss", grey), ("individual loss per expert", "white")):
        handles.append(Line2D([], [], color=grey, marker="o", ls="", ms=5, mfc=face, label=f"{label} (loss panels)"))
    if not missing_cells(frames.missing).empty:
        handles.append(Line2D([], [], color=grey, marker="x", ls="", ms=4.5, label="no result for one or more seeds"))
    return handles


def _notes(frames: Frames, step: FigureStep) -> list[str]:
    has_control = (frames.summary["predictor"] == "probability_average_finetuned").any()
    band = ["Grey band: the same interval of the fine-tuned average."] if has_control else []
    return [
        "Small points: seeds.",
        interval_note(step.statistics),
        "Bars that leave a panel are cut.",
        *band,
        *standard_error_note(frames),
        *missing_note(frames),
        "Values of λ are equidistant; vertical scales differ between panels.",
    ]
