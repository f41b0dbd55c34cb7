"""Every figure of the certificates by name: a function of their frames and the figure's settings."""

from collections.abc import Callable

from matplotlib.figure import Figure

from certifuse.reporting.certificates.figures.frontier import certificate_frontier
from certifuse.reporting.certificates.figures.versus_dimension import certified_vs_dimension
from certifuse.reporting.certificates.figures.versus_lambda import certified_vs_lambda
from certifuse.reporting.certificates.figures.versus_test import certified_vs_test
from certifuse.reporting.certificates.frames import CertificateFrames
from certifuse.reporting.style import styled
from certifuse.study.steps import FigureStep

FIGURES: dict[str, Callable[[CertificateFrames, FigureStep], Figure]] = {
    "certified_vs_dimension": certified_vs_dimension,
    "certified_vs_lambda": certified_vs_lambda,
    "certificate_frontier": certificate_frontier,
    "certified_vs_test": certified_vs_test,
}


def draw_certificates(name: str, frames: CertificateFrames, step: FigureStep) -> Figure:
    """The figure called `name`; one that says so where there is nothing for it to show."""
    with styled(step.style):
        return FIGURES[name](frames, step)
