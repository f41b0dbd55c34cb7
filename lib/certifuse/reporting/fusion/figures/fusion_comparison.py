"""Every fusion rule at one lambda beside every baseline: test accuracy as a dot plot with all seeds."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from certifuse.evaluation.statistics import accuracy_standard_error
from certifuse.reporting import plot, predictors
from certifuse.reporting.cells import architectures_of, compared_cells, fusions_of
from certifuse.reporting.frames import Frames
from certifuse.reporting.fusion.notes import compared_note, missing_note
from certifuse.reporting.fusion.runs import count_test_images, estimate, scores, shown_cells
from certifuse.reporting.notes import interval_note
from certifuse.reporting.predictors import COMBINATIONS, PREDICTORS
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
    for name, offset in ((predictors.FUSED, -0.24), (predictors.WITH_EXPERTS, 0.0), (predictors.OF_ITS_EXPERTS, 0.24))
)
OF_BASELINES = (
    Series("finetuned", predictors.FINETUNED, "experts fine-tuned on the fusion images", -0.14),
    Series("before", predictors.PRETRAINED, "experts as pre-trained", 0.14),
)
OF_SINGLE = Series("single", predictors.SINGLE, PREDICTORS[predictors.SINGLE].long, 0.0)


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One panel per architecture; the rows are shared, so a rule or baseline stands at one height in all panels."""
    cells = shown_cells(frames)
    fusions, architectures = fusions_of(cells), architectures_of(cells)
    baselines = _baseline_rows(frames.summary)
    labels = [*fusions, *baselines.values()]
    height = ROW_HEIGHT_IN * len(labels) / step.style.panel_height_in
    figure, panels = plot.new_panels(step.style, [1.0] * len(architectures), [height], LABELS_IN, sharey=True)
    for axes, architecture in zip(panels[0], architectures, strict=True):
        lams = compared_cells(cells, architecture)
        values = _draw_fusions(axes, frames, architecture, lams, fusions, step)
        values += _draw_baselines(axes, frames, architecture, list(baselines), len(fusions), step)
        _draw_key_control(axes, frames, architecture, step)
        axes.axhline(len(fusions) - 0.5, color=step.style.baseline_colour, lw=0.6)
        axes.set_xlim(plot.view_of(values, 0.06, highest=100.0))
        axes.set_title(architecture)
        axes.set_xlabel("test top-1 accuracy (%)")
    panels[0, 0].set_yticks(range(len(labels)), labels)
    panels[0, 0].set_ylim(len(labels) - 0.5, -0.5)
    panels[0, 0].set_ylabel("predictor")
    return plot.finish(figure, _handles(frames, step), _notes(frames, cells, step), step.style)


def _draw_fusions(
    axes: Axes, frames: Frames, architecture: str, lams: dict[str, str], fusions: list[str], step: DrawFigure
) -> list[float]:
    drawn: list[float] = []
    for row, fusion in enumerate(fusions):
        if fusion not in lams:
            _say(axes, row, "not in the grid")
            continue
        where = {"architecture": architecture, "fusion": fusion, "lam": lams[fusion]}
        if scores(frames.summary, "fused", "top1_percent", **where).empty:
            _say(axes, row, f"no result (λ = {lams[fusion]})")
            continue
        for series in OF_CELLS:
            points = scores(frames.summary, series.predictor, "top1_percent", **where)
            drawn += _draw_marks(axes, row, points, series, plot.fusion_look(fusion, step.style).colour, step)
    return drawn


def _baseline_rows(summary: pd.DataFrame) -> dict[str, str]:
    """Rows of baselines and their labels; a wider model has one only where some are trained."""
    present = set(summary["predictor"])
    return {name: label for name, label in COMBINATIONS.items() if name != predictors.WIDER or name in present}


def _draw_baselines(
    axes: Axes, frames: Frames, architecture: str, baselines: list[str], first_row: int, step: DrawFigure
) -> list[float]:
    summary = frames.summary
    chosen = (summary["fusion"] == BASELINE) & (summary["architecture"] == architecture)
    of_family = summary[chosen & (summary["metric"] == "top1_percent")]
    drawn: list[float] = []
    for row, name in enumerate(baselines, start=first_row):
        if name == "oracle":
            _say(axes, row, _oracle_text(of_family))
            continue
        for series in (OF_SINGLE,) if name in SINGLES else OF_BASELINES:
            predictor = name if name in SINGLES else rf"{name}(_\d+)?_{series.predictor}"
            points = of_family[of_family["predictor"].str.fullmatch(predictor)]
            drawn += _draw_marks(axes, row, points, series, step.style.baseline_colour, step)
    return drawn


def _draw_marks(
    axes: Axes, row: int, points: pd.DataFrame, series: Series, colour: str, step: DrawFigure
) -> list[float]:
    """All values as points; the mean and its interval over seeds (several experts of one seed are averaged first)."""
    found = estimate(points.groupby("seed")["value"].mean(), step.confidence)
    if found is None:
        return []
    mark = series.mark(colour) | {"mec": colour, "mew": 1.0}
    plot.draw_estimate(axes, points["value"], row + series.offset, found, colour, **mark)
    return list(points["value"])


def _draw_key_control(axes: Axes, frames: Frames, architecture: str, step: DrawFigure) -> None:
    """The mean of the key control as a line through all rows, with the standard error of one model around it."""
    values = scores(frames.summary, predictors.FINETUNED, "top1_percent", architecture=architecture)["value"]
    if values.empty:
        return
    mean, grey = float(values.mean()), step.style.baseline_colour
    axes.axvline(mean, color=grey, lw=0.9, zorder=1)
    n_test = count_test_images(frames.comparison)
    if n_test is not None:
        error = 100 * accuracy_standard_error(mean / 100, n_test)
        axes.axvspan(mean - error, mean + error, color=grey, alpha=0.12, lw=0, zorder=0)


def _oracle_text(of_family: pd.DataFrame) -> str:
    means = {
        label: of_family.loc[of_family["predictor"] == f"oracle_{suffix}", "value"].mean()
        for suffix, label in reversed(predictors.STAGES.items())
    }
    known = [f"{mean:.1f} {label}" for label, mean in means.items() if pd.notna(mean)]
    return f"{', '.join(known)} (not drawn)" if known else "no result"


def _say(axes: Axes, row: int, text: str) -> None:
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "center", "va": "center"}
    axes.text(0.5, row, text, fontsize="small", backgroundcolor="white", **place)


def _handles(frames: Frames, step: DrawFigure) -> list[Line2D]:
    grey = step.style.baseline_colour
    single = [OF_SINGLE] if frames.summary["predictor"].isin(SINGLES).any() else []
    series = (*OF_CELLS, *OF_BASELINES, *single)
    return [plot.entry(one.label, color=grey, **one.mark(grey)) for one in series]


def _notes(frames: Frames, cells: pd.DataFrame, step: DrawFigure) -> list[str]:
    notes = [
        "Ticks: seeds (single experts: each expert of each seed); marks: their mean.",
        f"{interval_note(step.confidence)} Bars that leave a panel are cut.",
        compared_note(cells),
        *missing_note(frames),
    ]
    if (frames.summary["predictor"] == predictors.FINETUNED).any():
        n_test = count_test_images(frames.comparison)
        band = "" if n_test is None else f", ± one model's standard error on {n_test:,} test images (band)"
        notes.append(f"Vertical line: probability average of the fine-tuned experts{band}.")
    return notes
