"""Every figure by name: a function of the tidy frames and the figure's settings. A new one is one line here."""

from collections.abc import Callable

from matplotlib.figure import Figure

from certifuse.reporting.frames import Frames, finished_cells
from certifuse.reporting.fusion.figures.diversity import diversity
from certifuse.reporting.fusion.figures.fusion_comparison import fusion_comparison
from certifuse.reporting.fusion.figures.lambda_ablation import lambda_ablation
from certifuse.reporting.fusion.figures.reliability import reliability
from certifuse.reporting.fusion.figures.training_curves import training_curves
from certifuse.reporting.style import nothing_finished, styled
from certifuse.study.steps import FigureStep

FIGURES: dict[str, Callable[[Frames, FigureStep], Figure]] = {
    "lambda_ablation": lambda_ablation,
    "fusion_comparison": fusion_comparison,
    "reliability": reliability,
    "training_curves": training_curves,
    "diversity": diversity,
}


def draw(name: str, frames: Frames, step: FigureStep) -> Figure:
    """The figure called `name`; one that says so where no cell of the grid has a result."""
    with styled(step.style):
        if finished_cells(frames.summary).empty:
            return nothing_finished(frames, step)
        return FIGURES[name](frames, step)
