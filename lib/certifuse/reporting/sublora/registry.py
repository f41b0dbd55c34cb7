"""Every figure of the SubLoRA study by name: those of one budget, and those of the whole study."""

from collections.abc import Callable

from matplotlib.figure import Figure

from certifuse.base.errors import UserError
from certifuse.reporting.style import styled
from certifuse.reporting.sublora.figures.allocation_grid import allocation_comparison_grid
from certifuse.reporting.sublora.figures.compression import compression_comparison
from certifuse.reporting.sublora.figures.frontier import sublora_frontier
from certifuse.reporting.sublora.figures.gating_heatmap import learned_gating_heatmap
from certifuse.reporting.sublora.figures.gating_nulls import gating_nulls
from certifuse.reporting.sublora.figures.gating_trend import learned_gating_trend
from certifuse.reporting.sublora.figures.pareto import pareto_frontier
from certifuse.reporting.sublora.frames import SubloraFrames
from certifuse.study.steps import FigureStep

OF_BUDGET: dict[str, Callable[[SubloraFrames, FigureStep, int], Figure]] = {
    "pareto_frontier": pareto_frontier,
    "compression_comparison": compression_comparison,
    "learned_gating_heatmap": learned_gating_heatmap,
}
OF_STUDY: dict[str, Callable[[SubloraFrames, FigureStep], Figure]] = {
    "allocation_comparison_grid": allocation_comparison_grid,
    "learned_gating_trend": learned_gating_trend,
    "sublora_frontier": sublora_frontier,
    "gating_nulls": gating_nulls,
}


def draw_sublora(name: str, frames: SubloraFrames, step: FigureStep, budget: int | None = None) -> Figure:
    """The figure called `name`; one that says so where there is nothing for it to show.

    Raises:
        UserError: a figure of one budget without a budget, or one of the whole study with one.
    """
    if (name in OF_BUDGET) != (budget is not None):
        found = "none" if budget is None else str(budget)
        raise UserError(f"figure {name}: expected {'a budget' if name in OF_BUDGET else 'no budget'}, found {found}")
    with styled(step.style):
        return OF_STUDY[name](frames, step) if budget is None else OF_BUDGET[name](frames, step, budget)
