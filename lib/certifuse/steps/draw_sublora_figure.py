"""Draw one figure of the SubLoRA study from its gathered certificates and gates."""

import logging
from pathlib import Path

from certifuse.reporting.style import save
from certifuse.reporting.sublora.frames import SubloraFrames
from certifuse.reporting.sublora.registry import draw_sublora
from certifuse.study.steps import FigureStep


def draw_sublora_figure(
    settings: FigureStep, figure: str, budget: int | None, frames: SubloraFrames, png: Path, pdf: Path
) -> None:
    """Write the figure called `figure` (of one budget, where it is one of those) as PNG and PDF.

    Equal inputs give equal bytes.
    """
    logging.getLogger("fontTools.subset").setLevel(logging.WARNING)  # else it logs every table that a PDF leaves out
    drawn = draw_sublora(figure, frames, settings, budget)
    for path in (png, pdf):
        save(drawn, path, settings.style)
