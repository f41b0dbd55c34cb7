"""Steps of figures for synthetic studies, and frames as the files that a step reads."""

from pathlib import Path

import pandas as pd

from certifuse.reporting.frames import Frames
from certifuse.study.figures import FIGURES
from certifuse.study.settings.evaluation import StatisticsSettings
from certifuse.study.settings.figures import FigureSettings
from certifuse.study.steps.reporting import DrawFigure


def step_of(name: str, budget: int | None = None, **style: object) -> DrawFigure:
    """The settings of a figure, with changes of its style."""
    figure, statistics = FIGURES[name], StatisticsSettings()
    return DrawFigure(
        figure=name,
        part=figure.part,
        budget=budget,
        tables=tuple(figure.tables),
        statistics={key: getattr(statistics, key) for key in figure.statistics},
        study="digits",
        style=FigureSettings(**{"dpi": 40, **style}),
    )


def changed(frames: Frames, **tables: pd.DataFrame) -> Frames:
    """The frames with other tables."""
    return Frames(**{**vars(frames), **tables})


def written(frames: Frames, directory: Path, *names: str) -> dict[str, Path]:
    """The tables of these names, or all, as CSV files."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = {name: directory / f"{name}.csv" for name in names or vars(frames)}
    for name, path in paths.items():
        getattr(frames, name).to_csv(path, index=False)
    return paths


def draw_files(frames: Frames, step: DrawFigure, directory: Path) -> DrawFigure.Files:
    """The files of the job of a figure: its tables, written, and images to come."""
    tables = tuple(written(frames, directory / "tables", *step.tables).values())
    return step.Files(source="0" * 16, tables=tables, png=directory / "figure.png", pdf=directory / "figure.pdf")
