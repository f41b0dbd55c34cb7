"""Learned gates beside their nulls: drawn gates, learned splits on other layers, learned splits trained again."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from certifuse.reporting import plot
from certifuse.reporting.drawing import NothingToShowError
from certifuse.reporting.estimates import half_width
from certifuse.reporting.frames import Frames, rows_with
from certifuse.reporting.sublora import notes
from certifuse.reporting.sublora.choice import HEADLINE, compared_rows
from certifuse.reporting.sublora.contrasts import OF_NULLS, contrasts
from certifuse.reporting.sublora.frames import budgets_of, modes_at, study_modes
from certifuse.reporting.sublora.modes import LEARNED, NULLS, mode_looks
from certifuse.reporting.text import interval_note, p_phrase, signed
from certifuse.study.steps.reporting import DrawFigure

ROWS = {"validation_bpd": "held-out loss (bits per token)", HEADLINE: "our bound (bits per token)"}
SHORT = {
    LEARNED: "learned",
    "learned_refixed": "splits\nretrained",
    "learned_permuted": "splits\npermuted",
    "learned_random": "random\ngates",
}
ABOVE: dict[str, Any] = {
    **{"ha": "center", "va": "top", "zorder": 5, "fontsize": "x-small"},
    "bbox": {"fc": "white", "ec": "none", "pad": 0.8},
}
PAIR: dict[str, Any] = {"alpha": 0.6, "lw": 0.6, "zorder": 1.5}


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """A column per budget, a row per measurement: the seeds of learned gates joined with those of their nulls."""
    budgets = [d for d in budgets_of(frames) if set(modes_at(frames, d)) & set(NULLS)]
    if not budgets:
        raise NothingToShowError("no null of learned gates in the grid")
    if frames.metrics.empty:
        raise notes.nothing_to_show("no certificate yet", frames.missing)
    looks, grey = mode_looks(study_modes(frames), step.style), step.style.baseline_colour
    compared = [row for row in contrasts(frames, step.confidence) if row["family"] == OF_NULLS]
    widths = [1.0 if len(budgets) > 1 else plot.ALONE] * len(budgets)
    figure, grid = plot.new_panels(step.style, widths, [1.0] * len(ROWS))
    for column, d in enumerate(budgets):
        modes = [mode for mode in SHORT if mode in modes_at(frames, d)]
        rows = compared_rows(frames.metrics, d)
        for axes, measured in zip(grid[:, column], ROWS, strict=True):
            _draw_modes(axes, rows[rows["mode"].isin(modes)], modes, measured, looks, step)
            where = {"transform": axes.get_xaxis_transform()}
            for row in compared:
                if (row["metric"], row["budget"]) == (measured, d):
                    tested = f"{signed(row['difference'])}\n{p_phrase(row['p_holm'])}".rstrip() if row["seeds"] else ""
                    axes.text(modes.index(row["baseline"]), 0.98, tested or "no pair", **where, **ABOVE)
        grid[0, column].set_title(f"d = {d:,}")
    for axes, label in zip(grid[:, 0], ROWS.values(), strict=True):
        axes.set_ylabel(label)
    figure.align_ylabels()
    mean = {"color": step.style.palette[3], "ms": 7}
    legend = {
        "seed": {**plot.seed_points(grey), "color": grey},
        "one seed": {"color": grey, "ls": "-", **PAIR},
        "mean, learned": {"marker": "P", **mean},
        "mean, null": {"marker": "p", "mfc": "white", **mean},
    }
    sentences = [
        notes.sample_note(frames.metrics),
        notes.levels_note(frames, budgets),
        interval_note(step.confidence),
        "Bars that leave a panel are cut.",
        "Above a null: learned minus null, paired by seed, and its p-value by Student's test, corrected by Holm's "
        "method over all nulls and budgets.",
        notes.seeds_note(frames.metrics),
        notes.missing_note(frames),
    ]
    return plot.finish(figure, legend, sentences, step.style, digits=True)


def _draw_modes(
    axes: Axes, rows: pd.DataFrame, modes: Sequence[str], column: str, looks: dict[str, plot.Look], step: DrawFigure
) -> None:
    """Lines join what one seed gives; seeds, means and intervals on top."""
    for _, of_seed in rows.groupby("seed"):
        values = of_seed.set_index("mode")[column].reindex(modes)
        axes.plot(range(len(modes)), values, color=step.style.baseline_colour, **PAIR)
    for place, mode in enumerate(modes):
        values = rows_with(rows, mode=mode)[column]
        if values.empty:
            axes.text(place, 0.5, "missing", transform=axes.get_xaxis_transform(), ha="center", rotation=90)
            continue
        mark: dict[str, Any] = {"ls": "", "ms": 7, "elinewidth": 0.9, "zorder": 3, **looks[mode].mark}
        half = half_width(values, step.confidence)
        axes.errorbar([place], [values.mean()], [half], ecolor=looks[mode].colour, **mark)
        axes.plot([place] * len(values), values, **plot.seed_points(step.style.baseline_colour))
    low, high = plot.view_of(rows[column], 0.15)
    axes.set_ylim(low, high + 0.3 * (high - low))
    if rows.empty:
        axes.set_yticks([])
    plot.equidistant_axis(axes, [SHORT[mode] for mode in modes], "gates")
