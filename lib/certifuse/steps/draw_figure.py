"""Draw one figure from the gathered tables, as PNG and PDF. Equal tables give equal bytes. Seconds."""

import importlib
import logging

from certifuse.base.manifest import StepRecord, shared_manifest
from certifuse.reporting.drawing import drawn
from certifuse.reporting.frames import read_frames
from certifuse.reporting.plot import save
from certifuse.study.steps.reporting import DrawFigure


def draw_figure(step: DrawFigure, files: DrawFigure.Files) -> None:
    """Write both images and a manifest."""
    logging.getLogger("fontTools.subset").setLevel(logging.WARNING)  # else it logs every table that a PDF leaves out
    record = StepRecord(step, files.source, files.tables)
    part = importlib.import_module(f"certifuse.reporting.{step.part}.frames")
    figure = drawn(read_frames(dict(zip(step.tables, files.tables, strict=True)), part.SCHEMAS), step)
    for path in (files.png, files.pdf):
        save(figure, path, step.style)
    record.write(shared_manifest(files.png), [files.png, files.pdf])
