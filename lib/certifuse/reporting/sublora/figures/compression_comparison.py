"""Complexity, risk and bound of one budget's models, the published bound beside ours, and what their size buys."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from certifuse.reporting import plot
from certifuse.reporting.frames import Frames, rows_with
from certifuse.reporting.frontier import draw_frontier
from certifuse.reporting.sublora import notes, panels
from certifuse.reporting.sublora.choice import HEADLINE, PUBLISHED, compared_levels, mean_points, with_size
from certifuse.reporting.sublora.frames import allocated_rows, of_models, of_modes, reference_rows, study_modes
from certifuse.reporting.sublora.modes import (
    is_allocation,
    mode_legend,
    mode_looks,
    modes_in_order,
    modes_in_words,
)
from certifuse.study.steps.reporting import DrawFigure

COMPLEXITY, SIZE, RISK = "kl_nats", "size_kb", "risk_bpd"
WIDTHS, HEIGHT = (1.0, 1.0, 1.2), 1.35


OURS = plot.Series(HEADLINE, "our bound", "-", 5.5, width=1.3)
THEIRS = plot.Series(PUBLISHED, "published bound (Hoeffding form)", "-", 5.5, filled=False, width=0.7)
OF_RISK = plot.Series(RISK, "risk", (0, (4, 1.5)), 3.5, width=0.9)


def draw(frames: Frames, step: DrawFigure) -> Figure:
    """Complexity against risk, complexity against both bounds, and size against risk and bounds together."""
    metrics, grey = with_size(frames.metrics), step.style.baseline_colour
    allocated, references = allocated_rows(metrics, step.d), reference_rows(metrics, step.d)
    if allocated.empty:
        raise notes.nothing_at(frames, step.d, "certificate of an allocation")
    of_budget = pd.concat([allocated, references])
    joined = pd.concat([_joined(metrics, allocated, step.d), references])
    looks = mode_looks(study_modes(frames), step.style)
    figure, grid = plot.new_panels(step.style, WIDTHS, [HEIGHT])
    risk, bound, size = grid[0]
    panels.complexity_axis(risk, list(allocated[COMPLEXITY]))
    risk.set(ylim=plot.view_of(allocated[RISK], 0.08), xlabel=panels.KL_LABEL, ylabel=panels.RISK_LABEL)
    draw_frontier(risk, mean_points(allocated, [COMPLEXITY, RISK]), COMPLEXITY, RISK, color=grey, **panels.FRONTIER)
    _draw_series(risk, allocated, COMPLEXITY, [OF_RISK], looks)
    _draw_series(bound, allocated, COMPLEXITY, [THEIRS, OURS], looks)
    panels.draw_vacuous(bound, allocated, step.style)
    panels.complexity_axis(bound, list(allocated[COMPLEXITY]))
    bound.set(ylim=panels.view_of_bounds(allocated), xlabel=panels.KL_LABEL, ylabel=panels.BOUND_LABEL)
    _draw_series(size, joined, SIZE, [OF_RISK, THEIRS, OURS], looks)
    panels.draw_vacuous(size, joined, step.style)
    panels.log_axis(size, list(joined[SIZE]))
    size.set(ylim=panels.view_of_bounds(joined, RISK), xlabel=panels.SIZE_LABEL, ylabel="empirical BPD or bound")
    for axes, title in zip(grid[0], ("risk", "bounds", "size"), strict=True):
        axes.set_title(f"{title}: {_extent(joined if axes is size else allocated)}")
    legend = mode_legend(of_budget["mode"], looks)
    legend |= {one.label: one.look(grey, "o") | {"mew": 1.0} for one in (OURS, THEIRS, OF_RISK)}
    legend |= {"frontier of the mean risks": {"color": grey, **panels.FRONTIER}}
    modes = modes_in_words(references["mode"])
    sentences = [
        notes.sample_note(of_budget),
        "Small points: seeds; marks: their means.",
        notes.seeds_note(of_budget),
        f"Only in the last panel: {modes}." if modes else "",
        notes.cut_note(joined, panels.highest_shown(joined)),
        notes.missing_note(frames, step.d),
    ]
    legend |= panels.vacuous_entry(of_budget, step.style)
    return plot.finish(figure, legend, sentences, step.style, digits=True)


def _joined(metrics: pd.DataFrame, allocated: pd.DataFrame, budget: int) -> pd.DataFrame:
    """The rows that the last panel's lines join: all levels at this budget, or all budgets where there is one level."""
    if allocated["levels"].nunique() > 1:
        return allocated
    return rows_with(of_modes(of_models(metrics), is_allocation), levels=compared_levels(metrics, budget))


def _extent(rows: pd.DataFrame) -> str:
    """Budgets and levels of the allocations among the rows."""
    allocated = of_modes(rows, is_allocation)
    budgets, levels = (sorted(int(number) for number in allocated[name].unique()) for name in ("d", "levels"))
    return f"d = {', '.join(f'{d:,}' for d in budgets)}, L = {', '.join(map(str, levels))}"


def _draw_series(
    axes: Axes, rows: pd.DataFrame, x: str, series: Sequence[plot.Series], looks: dict[str, plot.Look]
) -> None:
    """Draw of every mode the seeds as small points and their means, joined by rising x."""
    for mode in modes_in_order(rows["mode"]):
        of_mode, look = rows_with(rows, mode=mode), looks[mode]
        for one in series:
            axes.plot(of_mode[x], of_mode[one.column], **plot.seed_points(look.colour) | {"zorder": 2.5})
            means = mean_points(of_mode, [x, one.column]).sort_values(x)
            axes.plot(means[x], means[one.column], zorder=3, **one.look(look.colour, look.marker))
