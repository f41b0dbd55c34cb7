"""Draw one figure from the gathered results."""

import logging
from pathlib import Path

from certifuse.reporting.figures import draw
from certifuse.reporting.frames import Frames
from certifuse.reporting.style import save
from certifuse.study.steps import FigureStep


def draw_figure(settings: FigureStep, figure: str, frames: Frames, png: Path, pdf: Path) -> None:
    """Write the figure called `figure` as PNG and PDF; equal inputs give equal bytes."""
    logging.getLogger("fontTools.subset").setLevel(logging.WARNING)  # else it logs every table that a PDF leaves out
    drawn = draw(figure, frames, settings)
    for path in (png, pdf):
        save(drawn, path, settings.style)
