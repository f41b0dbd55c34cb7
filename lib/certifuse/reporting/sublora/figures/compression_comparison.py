"""Complexity, risk and bound of one budget's models, the published bound beside ours, and what their size buys."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from certifuse.reporting import plot
from certifuse.reporting.choice import unbeaten
from certifuse.reporting.frames import Frames
from certifuse.reporting.sublora import notes, panels
from certifuse.reporting.sublora.choice import HEADLINE, PUBLISHED, compared_levels, mean_points, size_kb
from certifuse.reporting.sublora.frames import allocated_rows, of_models, of_modes, reference_rows, study_modes
from certifuse.reporting.sublora.modes import (
    ModeLook,
    is_allocation,
    mode_handles,
    mode_label,
    mode_looks,
    modes_in_order,
)
from certifuse.study.settings.figures import FigureSettings
from certifuse.study.steps.reporting import DrawFigure

COMPLEXITY, SIZE, RISK = "kl_nats", "size_kb", "risk_bpd"
WIDTHS, HEIGHT = (1.0, 1.0, 1.2), 1.35


OF_RISK = plot.Series(RISK, "risk", (0, (4, 1.5)), 3.5, width=0.9)
OURS = plot.Series(HEADLINE, "our bound", "-", 5.5, width=1.3)
THEIRS = plot.Series(PUBLISHED, "published bound (Hoeffding form)", "-", 5.5, filled=False, width=0.7)


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """Complexity against risk, complexity against both bounds, and size against risk and bounds together."""
    budget = step.d
    metrics = frames.metrics.assign(size_kb=size_kb(frames.metrics["code_bits"]))
    allocated, references = allocated_rows(metrics, budget), reference_rows(metrics, budget)
    if allocated.empty:
        raise notes.nothing_at(frames, budget, "certificate of an allocation")
    of_budget = pd.concat([allocated, references])
    joined = pd.concat([_joined(metrics, allocated, budget), references])
    looks = mode_looks(study_modes(frames), step.style)
    figure, grid = plot.new_panels(step.style, WIDTHS, [HEIGHT])
    risk, bound, size = grid[0]
    _draw_risk(risk, allocated, looks, step.style)
    _draw_bounds(bound, allocated, COMPLEXITY, [THEIRS, OURS], looks, step.style)
    panels.complexity_axis(bound, list(allocated[COMPLEXITY]))
    bound.set(xlabel=panels.KL_LABEL, ylabel=panels.BOUND_LABEL)
    _draw_bounds(size, joined, SIZE, [OF_RISK, THEIRS, OURS], looks, step.style)
    panels.log_axis(size, list(joined[SIZE]))
    size.set(xlabel=panels.SIZE_LABEL, ylabel="empirical BPD or bound")
    for axes, title in zip(grid[0], ("risk", "bounds", "size"), strict=True):
        axes.set_title(f"{title}: {_extent(joined if axes is size else allocated)}")
    sentences = [notes.sample_note(of_budget), "Small points: seeds; marks: their means.", *notes.seeds_note(of_budget)]
    modes = modes_in_order(references["mode"])
    sentences += [f"Only in the last panel: {', '.join(map(mode_label, modes))}."] if modes else []
    sentences += notes.cut_note(joined, panels.highest_shown(of_modes(joined, is_allocation)))
    return plot.finish(
        figure,
        _handles(of_budget, looks, step.style),
        [*sentences, *notes.missing_note(frames, budget)],
        step.style,
        digits=True,
    )


def _joined(metrics: pd.DataFrame, allocated: pd.DataFrame, budget: int) -> pd.DataFrame:
    """The rows that the last panel's lines join: all levels at this budget, or all budgets where there is one level."""
    if allocated["levels"].nunique() > 1:
        return allocated
    rows = of_modes(of_models(metrics), is_allocation)
    return rows[rows["levels"] == compared_levels(metrics, budget)]


def _extent(rows: pd.DataFrame) -> str:
    """Budgets and levels of the allocations among the rows."""
    allocated = of_modes(rows, is_allocation)
    budgets, levels = (sorted(int(number) for number in allocated[name].unique()) for name in ("d", "levels"))
    return f"d = {', '.join(f'{d:,}' for d in budgets)}, L = {', '.join(map(str, levels))}"


def _draw_risk(axes: Axes, rows: pd.DataFrame, looks: dict[str, ModeLook], style: FigureSettings) -> None:
    """The allocations, and the frontier of their means over all levels."""
    panels.complexity_axis(axes, list(rows[COMPLEXITY]))
    axes.set_ylim(plot.view_of(rows[RISK], 0.08))
    frontier = unbeaten(mean_points(rows, [COMPLEXITY, RISK]), COMPLEXITY, RISK)
    panels.draw_frontier(axes, frontier, COMPLEXITY, RISK, style)
    _draw_series(axes, rows, COMPLEXITY, [OF_RISK], looks)
    axes.set(xlabel=panels.KL_LABEL, ylabel=panels.RISK_LABEL)


def _draw_bounds(
    axes: Axes,
    rows: pd.DataFrame,
    x: str,
    series: Sequence[plot.Series],
    looks: dict[str, ModeLook],
    style: FigureSettings,
) -> None:
    """The series, with the vacuous line, as far as the allocations go."""
    _draw_series(axes, rows, x, series, looks)
    panels.draw_vacuous(axes, rows, style)
    values = [value for one in series for value in rows[one.column]]
    panels.view_up_to(axes, values, panels.highest_shown(of_modes(rows, is_allocation)))


def _draw_series(
    axes: Axes, rows: pd.DataFrame, x: str, series: Sequence[plot.Series], looks: dict[str, ModeLook]
) -> None:
    """Draw of every mode the seeds as small points and their means, joined by rising x."""
    for mode in modes_in_order(rows["mode"]):
        of_mode, look = rows[rows["mode"] == mode], looks[mode]
        for one in series:
            axes.plot(of_mode[x], of_mode[one.column], **plot.seed_points(look.colour) | {"zorder": 2.5})
            means = mean_points(of_mode, [x, one.column]).sort_values(x)
            axes.plot(means[x], means[one.column], zorder=3, **one.look(look.colour, look.marker))


def _handles(rows: pd.DataFrame, looks: dict[str, ModeLook], style: FigureSettings) -> list[Line2D]:
    grey = style.baseline_colour
    of_series = [plot.entry(one.label, **one.look(grey, "o") | {"mew": 1.0}) for one in (OURS, THEIRS, OF_RISK)]
    frontier = plot.entry("frontier of the mean risks", color=grey, **panels.FRONTIER)
    return [
        *mode_handles(modes_in_order(rows["mode"]), looks),
        *of_series,
        frontier,
        panels.vacuous_handle(rows, style),
    ]
