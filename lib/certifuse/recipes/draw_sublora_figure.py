"""Draw one figure of the SubLoRA study from its gathered certificates and gates."""

import logging
from pathlib import Path

from certifuse.reporting.style import FigureStep, save
from certifuse.reporting.sublora_figures import draw_sublora
from certifuse.reporting.sublora_frames import SubloraFrames


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
