"""Numbers that figures and tables show, from the tidy frames: scores, best epochs, pooled bins."""

import re

import pandas as pd

from certifuse.evaluation.statistics import convergence_epoch
from certifuse.reporting.cells import CELL, finished_cells, grid
from certifuse.reporting.drawing import NothingToShowError, first_reasons
from certifuse.reporting.frames import Frames, rows_with

RUN = {"model_architecture": "architecture", "fusion_type": "fusion"}


def shown_cells(frames: Frames) -> pd.DataFrame:
    """Every cell that the study asked for.

    Raises:
        NothingToShowError: none of them has a result.
    """
    if finished_cells(frames.summary).empty:
        raise NothingToShowError("no cell of the grid has a result yet", first_reasons(frames.missing))
    return grid(frames.summary, frames.missing)


def count_test_images(comparison: pd.DataFrame) -> int | None:
    """Number of test images, or None while no pair has been compared."""
    return None if comparison.empty else int(comparison["n_test"].max())


def scores(summary: pd.DataFrame, predictor: str, metric: str, **cell: str) -> pd.DataFrame:
    """The rows of one score; `cell` narrows them by column (`lam` stands for the column `lambda`)."""
    return rows_with(summary, predictor=predictor, metric=metric, **cell).sort_values(CELL)


def with_cell_columns(logs: pd.DataFrame) -> pd.DataFrame:
    """The training logs under the column names of `CELL`, with `loss_individual_per_expert` beside the sum."""
    experts = sum(bool(re.fullmatch(r"expert_\d+_loss", name)) for name in logs.columns)
    return logs.rename(columns=RUN).assign(loss_individual_per_expert=logs["loss_individual"] / max(experts, 1))


def best_epochs(logs: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    """One row per run: the log row of its best epoch, its `convergence_epoch` and its `loss_ratio`.

    The best epoch is the training loop's: highest validation accuracy, then lowest validation loss, then earliest.
    `tolerance` is a fraction of accuracy, the log's accuracies are percent. `loss_ratio` is the mean individual loss of
    an expert over the global loss.
    """
    runs = with_cell_columns(logs)
    ranked = runs.sort_values(["val_accuracy", "val_loss", "epoch"], ascending=[False, True, True])
    best = ranked.drop_duplicates(CELL).assign(
        loss_ratio=lambda rows: rows["loss_individual_per_expert"] / rows["loss_global"]
    )
    by_run = runs.sort_values("epoch").groupby(CELL)["val_accuracy"]
    converged = {key: convergence_epoch(accuracy.to_numpy() / 100, tolerance) for key, accuracy in by_run}
    keys = best[CELL].itertuples(index=False, name=None)
    return best.assign(convergence_epoch=[converged[key] for key in keys]).sort_values(CELL)


def cell_results(summary: pd.DataFrame, logs: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    """One row per finished cell: its test accuracy `top1_percent` beside the columns of `best_epochs`."""
    accuracy = scores(summary, "fused", "top1_percent").rename(columns={"value": "top1_percent"})
    training = best_epochs(logs, tolerance)
    return accuracy[[*CELL, "top1_percent"]].merge(training, on=CELL, how="left", validate="one_to_one")


def pooled_bins(calibration: pd.DataFrame) -> pd.DataFrame:
    """Reliability bins of all seeds taken together: count, mean confidence and accuracy per non-empty bin.

    Each test image of each seed counts once, so the means are weighted by the counts.
    """
    filled = calibration[calibration["count"] > 0]
    means = ["mean_confidence", "accuracy"]
    weighted = filled.assign(**{name: filled[name] * filled["count"] for name in means})
    sums = weighted.groupby("bin", as_index=False)[["count", *means]].sum()
    return sums.assign(**{name: sums[name] / sums["count"] for name in means})
