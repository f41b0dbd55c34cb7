"""Draw one figure from the gathered certificates."""

import logging
from pathlib import Path

from certifuse.reporting.certificates.frames import CertificateFrames
from certifuse.reporting.certificates.registry import draw_certificates
from certifuse.reporting.style import save
from certifuse.study.steps import FigureStep


def draw_certificate_figure(settings: FigureStep, figure: str, frames: CertificateFrames, png: Path, pdf: Path) -> None:
    """Write the figure called `figure` as PNG and PDF; equal inputs give equal bytes."""
    logging.getLogger("fontTools.subset").setLevel(logging.WARNING)  # else it logs every table that a PDF leaves out
    drawn = draw_certificates(figure, frames, settings)
    for path in (png, pdf):
        save(drawn, path, settings.style)
