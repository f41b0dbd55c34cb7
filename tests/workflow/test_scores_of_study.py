"""The scores of a finished study, again from the predictions that it keeps, without a network."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recomputed_scores import NOT_OF_PREDICTIONS, recomputed_scores

from certifuse.study import paths
from certifuse.study.cells import BASELINE, Cell, Family


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def stored(results: Path) -> Iterator[tuple[tuple[str, ...], Path]]:
    """The predictions of every cell and family of the small study, by architecture, fusion, lambda and seed."""
    family = Family("resnet", 0)
    yield ("resnet", BASELINE, "", "0"), results / paths.BASELINE_METRICS.format(**family.names())
    for lam in ("0.5", "1.0"):
        cell = Cell("resnet", "concatenation", lam, 0)
        yield ("resnet", "concatenation", lam, "0"), results / paths.CELL_METRICS.format(**cell.names())


def test_every_score_of_the_summary_follows_from_stored_predictions(finished: Any) -> None:
    summary = {
        (row["architecture"], row["fusion"], row["lambda"], row["seed"], row["predictor"], row["metric"]): float(
            row["value"]
        )
        for row in rows(finished.results / paths.SUMMARY)
        if row["metric"] not in NOT_OF_PREDICTIONS
    }
    again = {
        (*key, *name): value
        for key, directory in stored(finished.results)
        for name, value in recomputed_scores(directory / paths.PREDICTIONS_FILE).items()
    }
    assert again == pytest.approx(summary, rel=1e-9, abs=1e-12)
