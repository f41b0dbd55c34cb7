"""Learned gates beside their nulls: drawn gates, learned splits on other layers, learned splits trained again."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from certifuse.reporting import plot
from certifuse.reporting.drawing import NothingToShowError
from certifuse.reporting.frames import Frames
from certifuse.reporting.notes import interval_note
from certifuse.reporting.sublora import notes, panels
from certifuse.reporting.sublora.choice import HEADLINE, compared_rows
from certifuse.reporting.sublora.contrasts import OF_NULLS, Contrast, contrasts
from certifuse.reporting.sublora.frames import budgets_of, modes_at, study_modes
from certifuse.reporting.sublora.modes import LEARNED, NULLS, ModeLook, mode_looks
from certifuse.reporting.text import p_phrase, signed
from certifuse.study.steps.reporting import DrawFigure

ROWS = {"validation_bpd": "held-out loss (bits per token)", HEADLINE: "our bound (bits per token)"}
SHORT = {
    LEARNED: "learned",
    "learned_refixed": "splits\nretrained",
    "learned_permuted": "splits\npermuted",
    "learned_random": "random\ngates",
}
PAIR: dict[str, Any] = {"lw": 0.6, "zorder": 1.5}


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """A column per budget, a row per measurement: the seeds of learned gates joined with those of their nulls."""
    budgets = [d for d in budgets_of(frames) if set(modes_at(frames, d)) & set(NULLS)]
    if not budgets:
        raise NothingToShowError("no null of learned gates in the grid")
    if frames.metrics.empty:
        raise notes.nothing_to_show("no certificate yet", frames.missing)
    looks = mode_looks(study_modes(frames), step.style)
    compared = [one for one in contrasts(frames, step.confidence) if one.family == OF_NULLS]
    figure, grid = plot.new_panels(step.style, [1.0 if len(budgets) > 1 else 1.6] * len(budgets), [1.0] * len(ROWS))
    for column, d in enumerate(budgets):
        modes = [mode for mode in SHORT if mode in modes_at(frames, d)]
        rows = compared_rows(frames.metrics, d)
        for axes, measured in zip(grid[:, column], ROWS, strict=True):
            _draw_modes(axes, rows[rows["mode"].isin(modes)], modes, measured, looks, step)
            _write_tests(axes, [one for one in compared if one.metric == measured and one.d == d], modes)
        grid[0, column].set_title(f"d = {d:,}")
    for axes, label in zip(grid[:, 0], ROWS.values(), strict=True):
        axes.set_ylabel(label)
    figure.align_ylabels()
    sentences = [
        notes.sample_note(frames.metrics),
        *notes.levels_note(frames, budgets),
        interval_note(step.confidence),
        "Bars that leave a panel are cut.",
        "Above a null: learned minus null, paired by seed, and its p-value by Student's test, corrected by Holm's "
        "method over all nulls and budgets.",
        *notes.seeds_note(frames.metrics),
        *notes.missing_note(frames),
    ]
    return plot.finish(figure, _handles(step), sentences, step.style, digits=True)


def _draw_modes(
    axes: Axes, rows: pd.DataFrame, modes: Sequence[str], column: str, looks: dict[str, ModeLook], step: DrawFigure
) -> None:
    """Lines join what one seed gives; seeds, means and intervals on top."""
    for _, of_seed in rows.groupby("seed"):
        values = of_seed.set_index("mode")[column].reindex(modes)
        axes.plot(range(len(modes)), values, color=step.style.baseline_colour, alpha=0.6, **PAIR)
    for place, mode in enumerate(modes):
        values = rows.loc[rows["mode"] == mode, column]
        if values.empty:
            axes.text(place, 0.5, "missing", transform=axes.get_xaxis_transform(), ha="center", rotation=90)
            continue
        look = looks[mode]
        half = panels.half_width(values, step.confidence)
        mark: dict[str, Any] = {"ls": "", "ms": 7, "elinewidth": 0.9, "zorder": 3}
        axes.errorbar([place], [values.mean()], [half], ecolor=look.colour, **mark, **look.mark)
        axes.plot([place] * len(values), values, **plot.seed_points(step.style.baseline_colour))
    low, high = plot.view_of(rows[column], 0.15)
    axes.set_ylim(low, high + 0.3 * (high - low))
    if rows.empty:
        axes.set_yticks([])
    axes.set_xlim(-0.5, len(modes) - 0.5)
    axes.set_xticks(range(len(modes)), [SHORT[mode] for mode in modes])
    axes.set_xlabel("gates")
    axes.grid(axis="x", visible=False)


def _write_tests(axes: Axes, compared: Sequence[Contrast], modes: Sequence[str]) -> None:
    for one in compared:
        text = "no pair"
        if one.tested is not None:
            test = one.tested
            text = f"{signed(test.mean)}\n{p_phrase(test.p_holm)}".rstrip()
        place: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "top", "zorder": 5}
        place |= {"fontsize": "x-small", "bbox": {"fc": "white", "ec": "none", "pad": 0.8}}
        axes.text(modes.index(one.baseline), 0.98, text, **place)


def _handles(step: DrawFigure) -> list[Line2D]:
    grey, mean = step.style.baseline_colour, {"color": step.style.palette[3], "ms": 7}
    return [
        plot.entry("seed", color=grey, **plot.seed_points(grey)),
        plot.entry("one seed", color=grey, ls="-", alpha=0.6, **PAIR),
        plot.entry("mean, learned", marker="P", **mean),
        plot.entry("mean, null", marker="p", mfc="white", **mean),
    ]
