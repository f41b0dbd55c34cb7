"""Draw one figure from the gathered tables, as PNG and PDF."""

from certifuse.steps.command import run_step
from certifuse.study.steps.reporting import DrawFigure


def run(step: DrawFigure, files: DrawFigure.Files) -> None:
    from certifuse.steps.draw_figure import draw_figure

    draw_figure(step, files)


if __name__ == "__main__":
    run_step(DrawFigure, run)
