"""Every fusion rule at one lambda beside every baseline: test accuracy as a dot plot with all seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from certifuse.evaluation.statistics import accuracy_standard_error
from certifuse.reporting import plot, predictors
from certifuse.reporting.cells import architectures_of, compared_cells, fusions_of
from certifuse.reporting.estimates import draw_in_row
from certifuse.reporting.frames import Frames, rows_with
from certifuse.reporting.fusion.notes import compared_note, missing_note
from certifuse.reporting.fusion.runs import count_test_images, scores, shown_cells
from certifuse.reporting.predictors import COMBINATIONS, PREDICTORS
from certifuse.reporting.text import interval_note
from certifuse.study.cells import BASELINE
from certifuse.study.steps.reporting import DrawFigure

ROW_HEIGHT_IN = 0.38
LABELS_IN = 1.6
SINGLES = (predictors.SINGLE, predictors.WIDER)


@dataclass(frozen=True)
class Series:
    """One kind of mark: the predictors that have this name or suffix, and where they stand beside each other."""

    predictor: str
    like: str
    label: str
    offset: float

    def mark(self, colour: str) -> dict[str, Any]:
        """Its look, which is that of one of the known predictors."""
        look = PREDICTORS[self.like]
        return {"marker": look.marker, "mfc": colour if look.filled else "white"}


OF_CELLS = tuple(
    Series(name, name, PREDICTORS[name].long, offset)
    for name, offset in zip(predictors.OF_CELLS, (-0.24, 0.0, 0.24), strict=True)
)
OF_BASELINES = (
    Series("finetuned", predictors.FINETUNED, "experts fine-tuned on the fusion images", -0.14),
    Series("before", predictors.PRETRAINED, "experts as pre-trained", 0.14),
)
OF_SINGLE = Series("single", predictors.SINGLE, PREDICTORS[predictors.SINGLE].long, 0.0)

Points = tuple[Series, pd.DataFrame, str]
"""A kind of mark, the scores that it shows, and their colour."""


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One panel per architecture; the rows are shared, so a rule or baseline stands at one height in all panels."""
    cells, grey, summary = shown_cells(frames), step.style.baseline_colour, frames.summary
    fusions, architectures = fusions_of(cells), architectures_of(cells)
    present = set(summary["predictor"])
    baselines = {name: label for name, label in COMBINATIONS.items() if name != predictors.WIDER or name in present}
    labels = [*fusions, *baselines.values()]
    height = ROW_HEIGHT_IN * len(labels) / step.style.panel_height_in
    figure, panels = plot.new_panels(step.style, [1.0] * len(architectures), [height], LABELS_IN, sharey=True)
    for axes, architecture in zip(panels[0], architectures, strict=True):
        rows = [*_of_fusions(cells, summary, architecture, fusions, step)]
        rows += _of_baselines(rows_with(summary, architecture=architecture, fusion=BASELINE), [*baselines], grey)
        values: list[float] = []
        for place, row in enumerate(rows):
            if isinstance(row, str):
                axes.text(0.5, place, row, **plot.in_row(axes, backgroundcolor="white"))
                continue
            for one, points, colour in row:
                mark = one.mark(colour) | {"mec": colour, "mew": 1.0}
                values += draw_in_row(axes, points, place + one.offset, step.confidence, colour, **mark)
        _draw_key_control(axes, frames, architecture, grey)
        axes.axhline(len(fusions) - 0.5, color=grey, lw=0.6)
        axes.set(xlim=plot.view_of(values, 0.06, highest=100.0), title=architecture, xlabel="test top-1 accuracy (%)")
    plot.row_axis(panels[0, 0], labels, "predictor")
    series = (*OF_CELLS, *OF_BASELINES, *([OF_SINGLE] if present & set(SINGLES) else []))
    sentences = [
        "Ticks: seeds (single experts: each expert of each seed); marks: their mean.",
        f"{interval_note(step.confidence)} Bars that leave a panel are cut.",
        compared_note(cells),
        missing_note(frames),
        _key_control_note(frames),
    ]
    legend = {one.label: {"color": grey, **one.mark(grey)} for one in series}
    return plot.finish(figure, legend, sentences, step.style)


def _of_fusions(
    cells: pd.DataFrame, summary: pd.DataFrame, architecture: str, fusions: list[str], step: DrawFigure
) -> Iterator[str | list[Points]]:
    """For each rule what is drawn in its row, or why there is nothing."""
    lams = compared_cells(cells, architecture)
    for fusion in fusions:
        if fusion not in lams:
            yield "not in the grid"
            continue
        where = {"architecture": architecture, "fusion": fusion, "lam": lams[fusion]}
        colour = plot.fusion_look(fusion, step.style).colour
        row = [(one, scores(summary, one.predictor, "top1_percent", **where), colour) for one in OF_CELLS]
        yield f"no result (λ = {lams[fusion]})" if row[0][1].empty else row


def _of_baselines(summary: pd.DataFrame, baselines: list[str], grey: str) -> Iterator[str | list[Points]]:
    """For each baseline what is drawn in its row; the oracle is far above all others, and only written."""
    top1 = rows_with(summary, metric="top1_percent")
    for name in baselines:
        if name == "oracle":
            means = [
                f"{oracle['value'].mean():.1f} {label}"
                for suffix, label in reversed(predictors.STAGES.items())
                if not (oracle := rows_with(top1, predictor=f"oracle_{suffix}").dropna(subset="value")).empty
            ]
            yield f"{', '.join(means)} (not drawn)" if means else "no result"
        elif name in SINGLES:
            yield [(OF_SINGLE, rows_with(top1, predictor=name), grey)]
        else:
            yield [
                (one, top1[top1["predictor"].str.fullmatch(rf"{name}(_\d+)?_{one.predictor}")], grey)
                for one in OF_BASELINES
            ]


def _draw_key_control(axes: Axes, frames: Frames, architecture: str, grey: str) -> None:
    """The mean of the key control as a line through all rows, with the standard error of one model around it."""
    values = scores(frames.summary, predictors.FINETUNED, "top1_percent", architecture=architecture)["value"]
    if values.empty:
        return
    mean, n_test = float(values.mean()), count_test_images(frames.comparison)
    axes.axvline(mean, color=grey, lw=0.9, zorder=1)
    if n_test is not None:
        error = 100 * accuracy_standard_error(mean / 100, n_test)
        axes.axvspan(mean - error, mean + error, color=grey, alpha=0.12, lw=0, zorder=0)


def _key_control_note(frames: Frames) -> str:
    n_test = count_test_images(frames.comparison)
    band = "" if n_test is None else f", ± one model's standard error on {n_test:,} test images (band)"
    said = f"Vertical line: probability average of the fine-tuned experts{band}."
    return said if (frames.summary["predictor"] == predictors.FINETUNED).any() else ""
