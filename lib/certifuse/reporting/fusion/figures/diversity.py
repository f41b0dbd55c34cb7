"""Diversity of the experts' errors before, after fine-tuning and after fusion, and what each contributes."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from certifuse.reporting import plot
from certifuse.reporting.cells import architectures_of, compared_cells
from certifuse.reporting.estimates import draw_in_row
from certifuse.reporting.frames import Frames, rows_with
from certifuse.reporting.fusion.notes import compared_note, missing_note
from certifuse.reporting.fusion.runs import scores, shown_cells
from certifuse.reporting.predictors import FINETUNED, PREDICTORS, PRETRAINED, STAGES
from certifuse.reporting.text import interval_note
from certifuse.study.cells import BASELINE
from certifuse.study.steps.reporting import DrawFigure

MEASURES = {
    "disagreement": "disagreement",
    "double_fault": "double fault",
    "q_statistic": "Q statistic",
    "error_correlation": "error correlation",
    "": "top-1 lost without\none expert (points)",
}
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
    stages = {name: stages_of(cells, name, step) for name in architectures_of(cells)}
    heights = [(ROW_HEIGHT_IN * len(rows) + 0.6) / step.style.panel_height_in for rows in stages.values()]
    figure, panels = plot.new_panels(step.style, [WIDTH] * len(MEASURES), heights, LABELS_IN, sharey="row")
    for row, (architecture, rows) in enumerate(stages.items()):
        summary = rows_with(frames.summary, architecture=architecture)
        for axes, (measure, label) in zip(panels[row], MEASURES.items(), strict=True):
            for place, stage in enumerate(rows):
                points = stage.scores(summary, "experts", measure) if measure else drop_losses(summary, stage)
                mark = {"marker": stage.marker, "color": stage.colour}
                if not draw_in_row(axes, points, place, step.confidence, stage.colour, **mark):
                    axes.text(0.5, place, "no result", **plot.in_row(axes))
            axes.set_xlabel(label)
            axes.xaxis.set_major_locator(MaxNLocator(4, steps=plot.NICE_STEPS))
        plot.row_axis(panels[row, 0], [stage.label for stage in rows], architecture)
        panels[row, -1].axvline(0, color=step.style.baseline_colour, lw=0.6, zorder=1)
    sentences = [
        "Ticks: seeds (last column: each expert of each seed); marks: their mean.",
        interval_note(step.confidence),
        compared_note(cells),
        missing_note(frames),
        "Pairwise measures are means over all pairs of experts.",
        "Last column: probability average of all experts minus that of all but one.",
    ]
    return plot.finish(figure, {}, sentences, step.style)


def drop_losses(summary: pd.DataFrame, stage: Stage) -> pd.DataFrame:
    """Accuracy that the average loses without one expert: columns `seed`, `metric` (which expert), `value` (points)."""
    full = stage.scores(summary, "probability_average", "top1_percent").set_index("seed")["value"]
    of_stage = rows_with(summary, predictor=f"experts_{stage.suffix}", fusion=stage.fusion, lam=stage.lam)
    without = of_stage[of_stage["metric"].str.fullmatch(r"top1_without_\d+_percent")]
    return without.assign(value=without["seed"].map(full) - without["value"])


def stages_of(cells: pd.DataFrame, architecture: str, step: DrawFigure) -> list[Stage]:
    """The stages of the experts: pre-trained, fine-tuned, and after fusion by each rule of the architecture."""
    grey = step.style.baseline_colour
    stages = [
        Stage(STAGES[suffix], suffix, BASELINE, "", grey, PREDICTORS[average].marker)
        for suffix, average in (("before", PRETRAINED), ("finetuned", FINETUNED))
    ]
    for fusion, lam in compared_cells(cells, architecture).items():
        look = plot.fusion_look(fusion, step.style)
        stages.append(Stage(f"after {fusion}", "after", fusion, lam, look.colour, look.marker))
    return stages
