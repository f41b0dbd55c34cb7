"""The tables of the fusion study; here those of scores: every cell, every baseline, and their paired comparison.

A cell here is (architecture, fusion, lambda): all seeds together. One without a result has its reason.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby, product
from typing import Any

import pandas as pd

from certifuse.evaluation.statistics import accuracy_standard_error, t_interval
from certifuse.reporting.cells import architectures_of, fusions_of, grid, lambdas_of
from certifuse.reporting.frames import Frames, records, rows_with
from certifuse.reporting.fusion import answers, costs, training_costs
from certifuse.reporting.fusion.runs import count_test_images
from certifuse.reporting.latex import TableRow, longtable
from certifuse.reporting.predictors import FINETUNED, FUSED, OF_CELLS, PREDICTORS, PRETRAINED, predictor_name
from certifuse.reporting.tables import Row, Table
from certifuse.reporting.text import interval, mean_text, missing_text, seeds_text, signed
from certifuse.study.cells import BASELINE
from certifuse.study.steps.reporting import WriteTables

Cell = tuple[str, str, str]
CELL_COLUMNS = ("architecture", "fusion", "lambda")
METRICS = (
    *("top1_percent", "top5_percent", "superclass_top1_percent", "nll_nats", "brier", "ece", "aurc"),
    *("temperature", "nll_nats_calibrated", "brier_calibrated", "ece_calibrated"),
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
    "costs": costs.COLUMNS,
    "training_costs": training_costs.COLUMNS,
    "answers": answers.COLUMNS,
}
NO_BASELINE = "no baseline has a result"
NO_COMPARISON = "not compared: an average of the experts is missing"
SCORES = {
    "top1_percent": ("top-1 (%)", 2),
    "top5_percent": ("top-5 (%)", 2),
    "nll_nats": ("NLL (nats)", 3),
    "brier": ("Brier", 3),
    "ece": ("ECE", 3),
    "nll_nats_calibrated": ("NLL, cal.", 3),
    "ece_calibrated": ("ECE, cal.", 3),
}
"""What LaTeX shows: header and digits."""
NAMED = (("architecture", "l"), ("fusion", "l"), ("λ", "r"), ("predictor", "l"))
SCORE_COLUMNS = (("n", "r"), *((title, "r") for title, _ in SCORES.values()))


def fusion_tables(frames: Frames, step: WriteTables) -> list[Table]:
    """Every table of the fusion study."""
    results, baselines = results_rows(frames, step.confidence), baseline_rows(frames, step.confidence)
    about = caption_about([*results, *baselines], step, count_test_images(frames.comparison))
    compared, cost = comparison_rows(frames), costs.cost_rows(frames.summary)
    training = training_costs.training_cost_rows(frames.summary, frames.costs)
    made = {
        "results": (results, results_tex(results, about)),
        "baselines": (baselines, baselines_tex(baselines, about)),
        "comparison": (compared, comparison_tex(compared, step)),
        "costs": (cost, costs.costs_tex(cost, step.study)),
        "training_costs": (training, training_costs.training_costs_tex(training, step.study)),
        "answers": ([test for answer in answers.answers(frames, step.confidence) for test in answer.tests], None),
    }
    return [Table(name, COLUMNS[name], rows, tex) for name, (rows, tex) in made.items()]


# ---- rows ----------------------------------------------------------------------------------------


def results_rows(frames: Frames, confidence: float) -> list[Row]:
    """One row per cell and predictor: estimates of every metric over the seeds, and what is missing."""
    n_test, scored = count_test_images(frames.comparison), frames.summary
    found = dict(list(scored.groupby([*CELL_COLUMNS, "predictor"])))
    return [
        {
            **dict(zip(CELL_COLUMNS, cell, strict=True)),
            "predictor": predictor,
            **_estimates(found.get((*cell, predictor), scored[:0]), confidence, n_test),
            **_gaps(frames.missing, cell),
        }
        for cell in _cells(grid(scored, frames.missing))
        for predictor in OF_CELLS
    ]


def baseline_rows(frames: Frames, confidence: float) -> list[Row]:
    """One row per architecture and baseline that has a top-1 accuracy, in the order of the summary."""
    n_test = count_test_images(frames.comparison)
    rows: list[Row] = []
    for architecture in architectures_of(pd.concat([frames.summary, frames.missing])):
        of_architecture = rows_with(frames.summary, architecture=architecture, fusion=BASELINE)
        found = [
            {"architecture": architecture, "predictor": predictor, **_estimates(scores, confidence, n_test)}
            for predictor, scores in of_architecture.groupby("predictor", sort=False)
        ]
        none = {"architecture": architecture, "seeds": 0, "reason": NO_BASELINE}
        rows += [row for row in found if row["seeds"]] or [none]
    return rows


def comparison_rows(frames: Frames) -> list[Row]:
    """One row per cell, predictor and averaging baseline; a cell without a comparison has one row with the reason."""
    compared = dict(list(rows_with(frames.comparison, level="cell").groupby(list(CELL_COLUMNS))))
    rows: list[Row] = []
    for cell in _cells(grid(frames.summary, frames.missing)):
        identity, gaps = dict(zip(CELL_COLUMNS, cell, strict=True)), _gaps(frames.missing, cell)
        if cell in compared:
            rows += [identity | row | gaps for row in records(compared[cell][["predictor", "baseline", *COMPARED]])]
        else:
            rows.append(identity | {"seeds": 0} | gaps | {"reason": gaps["reason"] or NO_COMPARISON})
    return rows


def _cells(cells: pd.DataFrame) -> list[Cell]:
    """Every cell once, in the library's order of architectures and rules, lambdas ascending."""
    present = set(cells[list(CELL_COLUMNS)].itertuples(index=False, name=None))
    return [cell for cell in product(architectures_of(cells), fusions_of(cells), lambdas_of(cells)) if cell in present]


def _estimates(scores: pd.DataFrame, confidence: float, n_test: int | None) -> Row:
    """Mean and interval of every metric that there is, the number of seeds, and the binomial standard error."""
    values = dict(list(scores.dropna(subset=["value"]).groupby("metric")["value"]))
    row: Row = {"seeds": len(values.get("top1_percent", ()))}
    for metric in METRICS:
        if metric in values:
            found = t_interval(values[metric], confidence)
            row |= {f"{metric}_mean": found.mean, f"{metric}_low": found.low, f"{metric}_high": found.high}
    if row["seeds"] and n_test is not None:
        error = accuracy_standard_error(row["top1_percent_mean"] / 100, n_test)
        row["one_model_standard_error_points"] = 100 * error
    return row


def _gaps(missing: pd.DataFrame, cell: Cell) -> Row:
    reasons = rows_with(missing, **dict(zip(CELL_COLUMNS, cell, strict=True)))["reason"]
    return {"missing_seeds": len(reasons), "reason": "; ".join(dict.fromkeys(reasons))}


# ---- LaTeX ---------------------------------------------------------------------------------------


def results_tex(rows: Sequence[Row], about: str) -> str:
    """Every cell: fused, averaged with its experts, and its experts averaged; a cell without a result has one line."""
    cells = [
        _scored((*(row[name] for name in CELL_COLUMNS), predictor_name(row["predictor"])), row)
        for row in rows
        if row["seeds"] or row["predictor"] == FUSED
    ]
    caption = f"Every cell of the grid, on the test images. {about}"
    return longtable("results", caption, (*NAMED, *SCORE_COLUMNS), cells)


def baselines_tex(rows: Sequence[Row], about: str) -> str:
    """Every baseline of every architecture."""
    columns = (("architecture", "l"), ("baseline", "l"), *SCORE_COLUMNS)
    cells = [_scored((row["architecture"], predictor_name(row.get("predictor", ""))), row) for row in rows]
    caption = f"Baselines without fusion, on the same test images. Fine-tuned: trained on the fusion images. {about}"
    return longtable("baselines", caption, columns, cells)


def comparison_tex(rows: Sequence[Row], step: WriteTables) -> str:
    """Every cell against both averages of the experts, on the same line."""
    columns = [*NAMED, ("n", "r")]
    for baseline in (FINETUNED, PRETRAINED):
        columns += [(f"minus {PREDICTORS[baseline].short} (points)", "r"), ("significant", "r")]
    by_predictor = groupby(rows, key=lambda row: (*(row[name] for name in CELL_COLUMNS), row.get("predictor")))
    cells = [_compared(key, list(members)) for key, members in by_predictor]
    caption = (
        "Paired difference of top-1 accuracy on the same test images, mean over n seeds. Brackets: "
        f"{100 * step.confidence:g}% bootstrap interval over the test images ({step.bootstrap_samples} "
        "resamples, trained models fixed). Significant: seeds whose McNemar test, adjusted by Holm over all cells and "
        f"seeds of one predictor and average, has p < {1 - step.confidence:.2g}."
    )
    return longtable("comparison", caption, columns, cells)


def caption_about(rows: Iterable[Row], step: WriteTables, n_test: int | None) -> str:
    """The meaning of n and of the brackets, and the standard error of one model, for captions."""
    text = (
        f"Study {step.study}. Mean over n seeds; brackets: {100 * step.confidence:g}% Student t interval of "
        "the mean, absent where n = 1 and, in the CSV file, given for every column. Cal.: after temperature scaling "
        "fitted on validation images."
    )
    errors = [row["one_model_standard_error_points"] for row in rows if row.get("one_model_standard_error_points")]
    if n_test is None or not errors:
        return text
    spread = f"{min(errors):.2f} to {max(errors):.2f}" if max(errors) - min(errors) > 0.005 else f"{errors[0]:.2f}"
    return f"{text} Standard error of one model's top-1, √(p(1-p)/{n_test}) on {n_test} test images: {spread} points."


def _scored(names: tuple[str, ...], row: Row) -> TableRow:
    if not row["seeds"]:
        return TableRow(names, missing_text(row["reason"]), row["architecture"])
    scores = []
    for metric, (_, digits) in SCORES.items():
        mean, low, high = (row.get(f"{metric}_{part}") for part in ("mean", "low", "high"))
        around = (low, high) if metric == "top1_percent" else (None, None)
        scores.append(mean_text(mean, *around, digits))
    cells = (*names, seeds_text(row["seeds"], row.get("missing_seeds", 0)), *scores)
    return TableRow(cells, group=row["architecture"])


def _compared(key: tuple[Any, ...], members: list[Row]) -> TableRow:
    *names, predictor = key
    if predictor is None:
        return TableRow((*names, ""), missing_text(members[0]["reason"]), names[0])
    by_baseline = {row["baseline"]: row for row in members}
    cells: list[str] = [*names, predictor_name(predictor), seeds_text(members[0]["seeds"], members[0]["missing_seeds"])]
    for baseline in (FINETUNED, PRETRAINED):
        if (row := by_baseline.get(baseline)) is None:
            cells += ["absent", ""]
            continue
        worse = f", {row['seeds_worse']} worse" if row["seeds_worse"] else ""
        cells.append(f"{signed(row['difference_points'], 2)} {interval(row['low_points'], row['high_points'], 2)}")
        cells.append(f"{row['seeds_significant']} of {row['seeds']}{worse}")
    return TableRow(tuple(cells), group=names[0])
