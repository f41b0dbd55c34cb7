"""Draw one figure from the gathered certificates."""

import logging
from pathlib import Path

from certifuse.reporting.certificate_figures import draw_certificates
from certifuse.reporting.certificate_frames import CertificateFrames
from certifuse.reporting.style import FigureStep, save


def draw_certificate_figure(settings: FigureStep, figure: str, frames: CertificateFrames, png: Path, pdf: Path) -> None:
    """Write the figure called `figure` as PNG and PDF; equal inputs give equal bytes."""
    logging.getLogger("fontTools.subset").setLevel(logging.WARNING)  # else it logs every table that a PDF leaves out
    drawn = draw_certificates(figure, frames, settings)
    for path in (png, pdf):
        save(drawn, path, settings.style)
