"""The numbers of the tables: one row per cell or baseline, those without a result included with their reason."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from certifuse.evaluation.statistics import accuracy_standard_error, t_interval
from certifuse.reporting.frames import architectures_of, fusions_of, grid, lambdas_of, missing_cells
from certifuse.study.cells import BASELINE

Row = dict[str, Any]
Cell = tuple[str, str, str]
"""Architecture, fusion and lambda: all seeds together."""

CELL_COLUMNS = ("architecture", "fusion", "lambda")
PREDICTORS = ("fused", "fused_plus_experts", "probability_average_after")
METRICS = (
    "top1_percent",
    "top5_percent",
    "superclass_top1_percent",
    "nll_nats",
    "brier",
    "ece",
    "aurc",
    "temperature",
    "nll_nats_calibrated",
    "brier_calibrated",
    "ece_calibrated",
)
ESTIMATES = (
    "seeds",
    *(f"{metric}_{part}" for metric in METRICS for part in ("mean", "low", "high")),
    "one_model_standard_error_points",
)
COMPARED = (
    *("n_test", "seeds", "difference_points", "low_points", "high_points", "bootstrap_p", "bootstrap_p_holm"),
    *("t_low_points", "t_high_points", "seeds_significant", "seeds_worse"),
)
GAPS = ("missing_seeds", "reason")
COLUMNS = {
    "results": (*CELL_COLUMNS, "predictor", *ESTIMATES, *GAPS),
    "baselines": ("architecture", "predictor", *ESTIMATES, "reason"),
    "comparison": (*CELL_COLUMNS, "predictor", "baseline", *COMPARED, *GAPS),
}
NO_BASELINE = "no baseline has a result"
NO_COMPARISON = "not compared: an average of the experts is missing"


def results_rows(summary: pd.DataFrame, missing: pd.DataFrame, confidence: float, n_test: int | None) -> list[Row]:
    """One row per cell and predictor: estimates of every metric over the seeds, and what is missing."""
    values = _values(summary)
    return [
        {
            **dict(zip(CELL_COLUMNS, cell, strict=True)),
            "predictor": predictor,
            **_estimates(values.get((*cell, predictor), {}), confidence, n_test),
            **_gaps(missing, cell),
        }
        for cell in _cells(grid(summary, missing))
        for predictor in PREDICTORS
    ]


def baseline_rows(summary: pd.DataFrame, missing: pd.DataFrame, confidence: float, n_test: int | None) -> list[Row]:
    """One row per architecture and baseline that has a top-1 accuracy, in the order of the summary."""
    values = _values(summary)
    rows: list[Row] = []
    for architecture in architectures_of(pd.concat([summary, missing])):
        predictors = [key[3] for key in values if key[:3] == (architecture, BASELINE, "")]
        scored = [name for name in predictors if "top1_percent" in values[(architecture, BASELINE, "", name)]]
        for predictor in scored:
            estimates = _estimates(values[(architecture, BASELINE, "", predictor)], confidence, n_test)
            rows.append({"architecture": architecture, "predictor": predictor, **estimates})
        if not scored:
            rows.append({"architecture": architecture, "seeds": 0, "reason": NO_BASELINE})
    return rows


def comparison_rows(comparison: pd.DataFrame, summary: pd.DataFrame, missing: pd.DataFrame) -> list[Row]:
    """One row per cell, predictor and averaging baseline; a cell without a comparison has one row with the reason."""
    of_cells = comparison[comparison["level"] == "cell"].astype(object)
    compared = dict(list(of_cells.where(of_cells.notna(), None).groupby(list(CELL_COLUMNS))))
    rows: list[Row] = []
    for cell in _cells(grid(summary, missing)):
        identity, gaps = dict(zip(CELL_COLUMNS, cell, strict=True)), _gaps(missing, cell)
        if cell in compared:
            found = compared[cell][["predictor", "baseline", *COMPARED]].to_dict("records")
            rows.extend({**identity, **row, **gaps} for row in found)
        else:
            rows.append({**identity, "seeds": 0, **gaps, "reason": gaps["reason"] or NO_COMPARISON})
    return rows


def _cells(cells: pd.DataFrame) -> Iterator[Cell]:
    """In the library's order of architectures and rules, lambdas ascending."""
    present = set(cells[list(CELL_COLUMNS)].itertuples(index=False, name=None))
    for architecture in architectures_of(cells):
        for fusion in fusions_of(cells):
            for lam in lambdas_of(cells):
                if (architecture, fusion, lam) in present:
                    yield architecture, fusion, lam


def _values(summary: pd.DataFrame) -> dict[tuple[str, str, str, str], dict[str, list[float]]]:
    """The values over seeds by (architecture, fusion, lambda, predictor) and metric."""
    values: dict[tuple[str, str, str, str], dict[str, list[float]]] = {}
    columns = [*CELL_COLUMNS, "predictor", "metric", "value"]
    for *key, metric, value in summary[columns].dropna(subset=["value"]).itertuples(index=False, name=None):
        values.setdefault((key[0], key[1], key[2], key[3]), {}).setdefault(metric, []).append(value)
    return values


def _estimates(values: dict[str, list[float]], confidence: float, n_test: int | None) -> Row:
    """Mean and interval of every metric that there is, the number of seeds, and the binomial standard error."""
    row: Row = {"seeds": len(values.get("top1_percent", []))}
    for metric in METRICS:
        if metric in values:
            found = t_interval(values[metric], confidence)
            row |= {f"{metric}_mean": found.mean, f"{metric}_low": found.low, f"{metric}_high": found.high}
    if row["seeds"] and n_test is not None:
        error = accuracy_standard_error(row["top1_percent_mean"] / 100, n_test)
        row["one_model_standard_error_points"] = 100 * error
    return row


def _gaps(missing: pd.DataFrame, cell: Cell) -> Row:
    cells = missing_cells(missing)
    chosen = (cells["architecture"] == cell[0]) & (cells["fusion"] == cell[1]) & (cells["lambda"] == cell[2])
    return {"missing_seeds": int(chosen.sum()), "reason": "; ".join(dict.fromkeys(cells.loc[chosen, "reason"]))}
