"""Training curves: validation accuracy and the losses against the epoch, per architecture and fusion rule."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from certifuse.reporting import plot
from certifuse.reporting.cells import architectures_of, compared_cells, fusions_of
from certifuse.reporting.frames import Frames, rows_with
from certifuse.reporting.fusion.notes import compared_note, missing_note
from certifuse.reporting.fusion.runs import shown_cells, with_cell_columns
from certifuse.study.settings.figures import FigureSettings
from certifuse.study.steps.reporting import DrawFigure

ROWS = {
    "val_accuracy": "validation\naccuracy (%)",
    "val_loss": "validation loss\n(nats)",
    "loss_global": "global training loss\n(nats)",
    "loss_individual_per_expert": "individual training loss\nper expert (nats)",
}
HEIGHT = 0.8


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """One column of panels per architecture; every seed a thin line, their mean a thick one."""
    cells = shown_cells(frames)
    widths = dict.fromkeys(architectures_of(cells), 1.0)
    runs = compared_runs(with_cell_columns(frames.logs), cells)
    figure, panels = plot.architecture_grid(step.style, widths, list(ROWS.values()), HEIGHT)
    for column, architecture in zip(panels.T, widths, strict=True):
        of_architecture = rows_with(runs, architecture=architecture)
        absent = compared_cells(cells, architecture).keys() - set(of_architecture["fusion"])
        if absent:
            where: dict[str, Any] = {"transform": column[0].transAxes, "ha": "right", "va": "bottom"}
            column[0].text(0.98, 0.04, "\n".join(["no result:", *sorted(absent)]), fontsize="small", **where)
        for axes, measure in zip(column, ROWS, strict=True):
            label = axes.get_ylabel()
            _draw_curves(axes, of_architecture, measure, step.style)
            axes.set(xlabel="epoch", ylabel=label)
            axes.xaxis.set_major_locator(MaxNLocator(8, steps=plot.NICE_STEPS, integer=True))
    sentences = [
        "Thin lines: seeds; thick lines: their mean, as far as all seeds went.",
        compared_note(cells),
        missing_note(frames),
        "Training losses are those of the augmented images.",
    ]
    legend = plot.fusion_legend(fusions_of(cells), step.style, marker="", lw=1.5)
    return plot.finish(figure, legend, sentences, step.style)


def compared_runs(runs: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """The log rows of the cells at which fusion rules are compared."""
    chosen = [
        rows_with(runs, architecture=architecture, fusion=fusion, lam=lam)
        for architecture in architectures_of(cells)
        for fusion, lam in sorted(compared_cells(cells, architecture).items())
    ]
    return pd.concat(chosen, ignore_index=True)


def completed_by_all(runs: pd.DataFrame) -> pd.DataFrame:
    """The rows of the epochs that every seed of the rule reached, so that a mean never changes its seeds."""
    seeds = runs.groupby("fusion")["seed"].transform("nunique")
    return runs[runs.groupby(["fusion", "epoch"])["seed"].transform("nunique") == seeds]


def _draw_curves(axes: Axes, runs: pd.DataFrame, measure: str, style: FigureSettings) -> None:
    import seaborn

    if runs.empty:
        return
    looks = {fusion: plot.fusion_look(fusion, style) for fusion in fusions_of(runs)}
    encoding = {
        "x": "epoch",
        "y": measure,
        "hue": "fusion",
        "palette": {fusion: look.colour for fusion, look in looks.items()},
        "style": "fusion",
        "dashes": {fusion: "" if look.line == "-" else look.line[1] for fusion, look in looks.items()},
        "legend": False,
        "ax": axes,
    }
    seaborn.lineplot(runs, units="seed", estimator=None, linewidth=0.6, alpha=0.5, **encoding)
    seaborn.lineplot(completed_by_all(runs), estimator="mean", errorbar=None, linewidth=1.5, **encoding)
