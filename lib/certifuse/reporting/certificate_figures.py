"""Every figure of the certificates by name: a function of their frames and the figure's settings."""

from collections.abc import Callable

from matplotlib.figure import Figure

from certifuse.reporting.certificate_frames import CertificateFrames
from certifuse.reporting.certificate_frontier import certificate_frontier
from certifuse.reporting.certified_vs_dimension import certified_vs_dimension
from certifuse.reporting.certified_vs_lambda import certified_vs_lambda
from certifuse.reporting.certified_vs_test import certified_vs_test
from certifuse.reporting.style import FigureStep, styled

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
