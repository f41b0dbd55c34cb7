"""Reliability diagrams: accuracy against confidence, of the fused models and of the fine-tuned average."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from certifuse.reporting import plot
from certifuse.reporting.cells import architectures_of, compared_cells, fusions_of
from certifuse.reporting.frames import Frames, rows_with
from certifuse.reporting.fusion.notes import compared_note, missing_note
from certifuse.reporting.fusion.runs import pooled_bins, shown_cells
from certifuse.reporting.predictors import FINETUNED, PREDICTORS
from certifuse.study.cells import BASELINE
from certifuse.study.steps.reporting import DrawFigure

STAGES = {0: ("as trained", "ece"), 1: ("after temperature scaling", "ece_calibrated")}
FEWEST = 10
"""Bins with fewer predictions, all seeds together, are not drawn: their accuracy is noise."""

Curve = tuple[str, str, str, plot.Look]
"""Predictor, fusion and lambda in the frames, and the look."""


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """Two diagrams per architecture, before and after temperature scaling, each over a strip of counts."""
    cells = shown_cells(frames)
    architectures = architectures_of(cells)
    alone = len(architectures) == 1
    columns, pairs = (len(STAGES), 1) if alone else (len(architectures), len(STAGES))
    control = PREDICTORS[FINETUNED]
    look = plot.Look(step.style.baseline_colour, control.marker, control.line)
    figure, panels = plot.new_panels(step.style, [1.0] * columns, [1.0, 0.3] * pairs, sharex=True)
    for column, architecture in enumerate(architectures):
        curves = [(FINETUNED, BASELINE, "", look)]
        for fusion, lam in compared_cells(cells, architecture).items():
            curves.append(("fused", fusion, lam, plot.fusion_look(fusion, step.style)))
        panels[0, column].set_title(architecture)
        for calibrated, (stage, metric) in STAGES.items():
            diagram, strip = panels[:, calibrated] if alone else panels[2 * calibrated : 2 * calibrated + 2, column]
            shown = rows_with(frames.calibration, architecture=architecture, calibrated=calibrated)
            _draw_stage(diagram, strip, shown, curves)
            _write_errors(diagram, rows_with(frames.summary, architecture=architecture, metric=metric), curves)
            diagram.text(0.03, 0.97, stage, transform=diagram.transAxes, va="top", fontsize="small")
            diagram.set_ylabel("accuracy")
            strip.set(xlabel="confidence", ylabel="share of\nimages")
    controlled = (frames.calibration["predictor"] == FINETUNED).any()
    legend = {control.long: {"color": look.colour, "marker": look.marker, "ls": look.line}} if controlled else {}
    sentences = [
        compared_note(cells),
        "Test images of all seeds pooled.",
        missing_note(frames),
        f"Bins with fewer than {FEWEST} predictions are not drawn in the diagrams; the strips have logarithmic scales.",
        "ECE: mean over seeds. The temperature is fitted on validation images.",
    ]
    return plot.finish(figure, legend | plot.fusion_legend(fusions_of(cells), step.style), sentences, step.style)


def _draw_stage(diagram: Axes, strip: Axes, calibration: pd.DataFrame, curves: list[Curve]) -> None:
    diagram.plot([0, 1], [0, 1], color="#999999", lw=0.8, zorder=1)
    diagram.set(xlim=(0, 1), ylim=(0, 1))
    strip.set_yscale("log")
    if calibration.empty:
        plot.say_in(diagram, "no result")
    for predictor, fusion, lam, look in curves:
        bins = pooled_bins(rows_with(calibration, predictor=predictor, fusion=fusion, lam=lam))
        if bins.empty:
            continue
        shape: dict[str, Any] = {"color": look.colour, "ls": look.line, "lw": 1.0}
        strip.plot(bins["mean_confidence"], bins["count"] / bins["count"].sum(), drawstyle="steps-mid", **shape)
        shown = bins[bins["count"] >= FEWEST]
        shape |= {"marker": look.marker, "ms": 4, "mec": "white", "mew": 0.4, "clip_on": False}
        diagram.plot(shown["mean_confidence"], shown["accuracy"], **shape)


def _write_errors(axes: Axes, errors: pd.DataFrame, curves: list[Curve]) -> None:
    """The expected calibration errors in percent, mean over seeds, in the colours and the order of the legend."""
    lines = [("ECE (%)", "black")]
    for predictor, fusion, lam, look in curves:
        values = rows_with(errors, predictor=predictor, fusion=fusion, lam=lam)["value"]
        lines.append(("missing" if values.empty else f"{100 * values.mean():.1f}", look.colour))
    for place, (text, colour) in enumerate(reversed(lines)):
        where: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "bottom", "fontsize": "small"}
        axes.text(0.97, 0.03 + 0.065 * place, text, color=colour, **where)
