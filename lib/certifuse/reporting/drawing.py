"""One figure by its name: its module is found in the part of the study that it shows."""

import textwrap
from collections.abc import Iterable

import pandas as pd
from matplotlib.figure import Figure

from certifuse.base.registry import implementation
from certifuse.reporting import plot
from certifuse.reporting.frames import Frames
from certifuse.study.steps.reporting import DrawFigure

MOST_REASONS = 3
REASON_CHARACTERS = 60


class NothingToShowError(Exception):
    """A figure has nothing to show: the reason, and lines on what is missing."""

    def __init__(self, reason: str, missing: Iterable[str] = ()) -> None:
        super().__init__(reason)
        self.lines = [f"{reason}.", *missing]


def drawn(frames: Frames, step: DrawFigure) -> Figure:
    """The figure of a step; one that says why where there is nothing for it to show, as its label does too."""
    draw = implementation(f"certifuse.reporting.{step.part}.figures", "draw", step.figure, "figure")
    with plot.styled(step.style):
        try:
            figure: Figure = draw(frames, step)
        except NothingToShowError as nothing:
            figure, axes = plot.new_panels(step.style, [2], [1])
            axes[0, 0].set_axis_off()
            figure.set_label(" ".join(nothing.lines))
            plot.say_in(axes[0, 0], f"{step.study}: " + "\n".join(nothing.lines))
    return figure


def first_reasons(missing: pd.DataFrame) -> list[str]:
    """The most frequent reasons, a line each."""
    counts = missing["reason"].value_counts().head(MOST_REASONS)
    return [f"{count} missing: {textwrap.shorten(reason, REASON_CHARACTERS)}" for reason, count in counts.items()]
