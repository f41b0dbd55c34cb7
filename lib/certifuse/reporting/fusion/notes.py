"""Sentences that the figures of the fusion study share: where rules are compared, what is missing, how exact it is."""

import pandas as pd

from certifuse.evaluation.statistics import accuracy_standard_error
from certifuse.reporting.cells import architectures_of, compared_cells, grid, missing_cells
from certifuse.reporting.frames import Frames
from certifuse.reporting.fusion.runs import count_test_images, scores
from certifuse.reporting.text import lambda_text


def compared_note(cells: pd.DataFrame) -> str:
    """The lambda at which the rules stand, with those that stand at another one."""
    places = [
        (f"{architecture} {fusion}", lam)
        for architecture in architectures_of(cells)
        for fusion, lam in compared_cells(cells, architecture).items()
    ]
    return f"Fusion rules at {lambda_text(places)}."


def missing_note(frames: Frames) -> str:
    """The number of cells without a result; no sentence where all have one."""
    missing, asked = missing_cells(frames.missing), grid(frames.summary, frames.missing)
    lacking = f"{len(missing)} of {len(asked)} cells have no result; means are over the seeds that have one."
    return "" if missing.empty else lacking


def standard_error_note(frames: Frames) -> str:
    """The binomial standard error of one fused model; no sentence while the number of test images is unknown."""
    n_test = count_test_images(frames.comparison)
    if n_test is None:
        return ""
    accuracy = scores(frames.summary, "fused", "top1_percent")["value"].mean() / 100
    points = 100 * accuracy_standard_error(accuracy, n_test)
    return f"One model's standard error on {n_test:,} test images: {points:.2f} points."
