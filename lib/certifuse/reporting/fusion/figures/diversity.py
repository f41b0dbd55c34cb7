"""Diversity of the experts' errors before, after fine-tuning and after fusion, and what each contributes."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from certifuse.reporting import plot
from certifuse.reporting.cells import architectures_of, compared_cells, fusions_of
from certifuse.reporting.frames import Frames
from certifuse.reporting.fusion.notes import compared_note, missing_note
from certifuse.reporting.fusion.runs import estimate, scores, shown_cells
from certifuse.reporting.notes import interval_note
from certifuse.reporting.predictors import FINETUNED, PREDICTORS, PRETRAINED, STAGES
from certifuse.study.cells import BASELINE
from certifuse.study.steps.reporting import DrawFigure

MEASURES = {
    "disagreement": "disagreement",
    "double_fault": "double fault",
    "q_statistic": "Q statistic",
    "error_correlation": "error correlation",
}
DROP_LABEL = "top-1 lost without\none expert (points)"
ROW_HEIGHT_IN = 0.26
LABELS_IN = 2.2
WIDTH = 0.66


@dataclass(frozen=True)
class Stage:
    """One row: the experts at one point of their life."""

    label: str
    suffix: str
    fusion: str
    lam: str
    colour: str
    marker: str

    def scores(self, summary: pd.DataFrame, predictor: str, metric: str) -> pd.DataFrame:
        """The rows of one score at this stage, all seeds."""
        return scores(summary, f"{predictor}_{self.suffix}", metric, fusion=self.fusion, lam=self.lam)


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One row of panels per architecture, one column per measure; stages of the experts from top to bottom."""
    cells = shown_cells(frames)
    architectures = architectures_of(cells)
    stages = {name: stages_of(cells, name, step) for name in architectures}
    heights = [(ROW_HEIGHT_IN * len(stages[name]) + 0.6) / step.style.panel_height_in for name in architectures]
    figure, panels = plot.new_panels(step.style, [WIDTH] * (len(MEASURES) + 1), heights, LABELS_IN, sharey="row")
    for row, architecture in enumerate(architectures):
        summary = frames.summary[frames.summary["architecture"] == architecture]
        for axes, (measure, label) in zip(panels[row], [*MEASURES.items(), (None, DROP_LABEL)], strict=True):
            for place, stage in enumerate(stages[architecture]):
                points = drop_losses(summary, stage) if measure is None else stage.scores(summary, "experts", measure)
                _draw_row(axes, points, place, stage, step)
            axes.set_xlabel(label)
            axes.xaxis.set_major_locator(MaxNLocator(4, steps=plot.NICE_STEPS))
        labels = [stage.label for stage in stages[architecture]]
        panels[row, 0].set_yticks(range(len(labels)), labels)
        panels[row, 0].set_ylim(len(labels) - 0.5, -0.5)
        panels[row, 0].set_ylabel(architecture)
        panels[row, -1].axvline(0, color=step.style.baseline_colour, lw=0.6, zorder=1)
    plot.note_below(figure, _notes(frames, cells, step), step.style)
    return figure


def drop_losses(summary: pd.DataFrame, stage: Stage) -> pd.DataFrame:
    """Accuracy that the average loses without one expert: columns `seed`, `metric` (which expert), `value` (points)."""
    full = stage.scores(summary, "probability_average", "top1_percent").set_index("seed")["value"]
    dropped = summary[summary["metric"].str.fullmatch(r"top1_without_\d+_percent")]
    chosen = (dropped["predictor"] == f"experts_{stage.suffix}") & (dropped["fusion"] == stage.fusion)
    without = dropped[chosen & (dropped["lambda"] == stage.lam)]
    return without.assign(value=without["seed"].map(full) - without["value"])


def stages_of(cells: pd.DataFrame, architecture: str, step: DrawFigure) -> list[Stage]:
    """The stages of the experts: pre-trained, fine-tuned, and after fusion by each rule of the architecture."""
    grey = step.style.baseline_colour
    lams = compared_cells(cells, architecture)
    averages = {"before": PRETRAINED, "finetuned": FINETUNED}
    before = [
        Stage(STAGES[suffix], suffix, BASELINE, "", grey, PREDICTORS[average].marker)
        for suffix, average in averages.items()
    ]
    looks = {fusion: plot.fusion_look(fusion, step.style) for fusion in fusions_of(cells) if fusion in lams}
    return before + [
        Stage(f"after {fusion}", "after", fusion, lams[fusion], look.colour, look.marker)
        for fusion, look in looks.items()
    ]


def _draw_row(axes: Axes, points: pd.DataFrame, place: int, stage: Stage, step: DrawFigure) -> None:
    """The values of one stage, or that there are none."""
    found = estimate(points.groupby("seed")["value"].mean(), step.confidence)
    if found is None:
        transform = axes.get_yaxis_transform()
        axes.text(0.5, place, "no result", transform=transform, ha="center", va="center", fontsize="small")
        return
    plot.draw_estimate(axes, points["value"], place, found, stage.colour, marker=stage.marker, color=stage.colour)


def _notes(frames: Frames, cells: pd.DataFrame, step: DrawFigure) -> list[str]:
    return [
        "Ticks: seeds (last column: each expert of each seed); marks: their mean.",
        interval_note(step.confidence),
        compared_note(cells),
        *missing_note(frames),
        "Pairwise measures are means over all pairs of experts.",
        "Last column: probability average of all experts minus that of all but one.",
    ]
