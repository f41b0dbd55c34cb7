"""The tables as LaTeX: which numbers are shown, with how many digits, and what the captions say."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from textwrap import shorten
from typing import Any

from certifuse.reporting.fusion.tables import Row
from certifuse.reporting.latex import TableRow, longtable
from certifuse.study.settings.evaluation import StatisticsSettings

STAGES = {"before": "pre-trained", "finetuned": "fine-tuned"}
NAMES = {
    "single": "one model, all images",
    "single_wider": "one wider model, all images",
    "fused": "fused",
    "fused_plus_experts": "fused, averaged with experts",
    "probability_average_after": "average of its experts",
}
SCORES = (
    ("top-1 (%)", "top1_percent", 2),
    ("top-5 (%)", "top5_percent", 2),
    ("NLL (nats)", "nll_nats", 3),
    ("Brier", "brier", 3),
    ("ECE", "ece", 3),
    ("NLL, cal.", "nll_nats_calibrated", 3),
    ("ECE, cal.", "ece_calibrated", 3),
)
SCORE_COLUMNS = (("n", "r"), *((title, "r") for title, _, _ in SCORES))
AGAINST = {
    "probability_average_finetuned": "fine-tuned average",
    "probability_average_before": "pre-trained average",
}
REASON_CHARACTERS = 90


def results_tex(rows: Sequence[Row], about: str) -> str:
    """Every cell: fused, averaged with its experts, and its experts averaged; a cell without a result has one line."""
    columns = (("architecture", "l"), ("fusion", "l"), ("λ", "r"), ("predictor", "l"), *SCORE_COLUMNS)
    cells = [
        _scored((row["architecture"], row["fusion"], row["lambda"], predictor_name(row["predictor"])), row)
        for row in rows
        if row["seeds"] or row["predictor"] == "fused"
    ]
    return longtable("results", f"Every cell of the grid, on the test images. {about}", columns, spaced(cells))


def baselines_tex(rows: Sequence[Row], about: str) -> str:
    """Every baseline of every architecture."""
    columns = (("architecture", "l"), ("baseline", "l"), *SCORE_COLUMNS)
    cells = [_scored((row["architecture"], predictor_name(row.get("predictor", ""))), row) for row in rows]
    caption = f"Baselines without fusion, on the same test images. Fine-tuned: trained on the fusion images. {about}"
    return longtable("baselines", caption, columns, spaced(cells))


def comparison_tex(rows: Sequence[Row], statistics: StatisticsSettings) -> str:
    """Every cell against both averages of the experts, on the same line."""
    columns = [("architecture", "l"), ("fusion", "l"), ("λ", "r"), ("predictor", "l"), ("n", "r")]
    for name in AGAINST.values():
        columns += [(f"minus {name} (points)", "r"), ("significant", "r")]
    by_predictor = groupby(
        rows, key=lambda row: (row["architecture"], row["fusion"], row["lambda"], row.get("predictor"))
    )
    cells = [_compared(key, list(members)) for key, members in by_predictor]
    caption = (
        "Paired difference of top-1 accuracy on the same test images, mean over n seeds. Brackets: "
        f"{_percent(statistics.confidence)} bootstrap interval over the test images ({statistics.bootstrap_samples} "
        "resamples, trained models fixed). Significant: seeds whose McNemar test, adjusted by Holm over all cells and "
        f"seeds of one predictor and average, has p < {1 - statistics.confidence:.2g}."
    )
    return longtable("comparison", caption, columns, spaced(cells))


def caption_about(rows: Iterable[Row], statistics: StatisticsSettings, study: str, n_test: int | None) -> str:
    """What n is, what the brackets are, and how exact one model is."""
    text = (
        f"Study {study}. Mean over n seeds; brackets: {_percent(statistics.confidence)} Student t interval of "
        "the mean, absent where n = 1 and, in the CSV file, given for every column. Cal.: after temperature scaling "
        "fitted on validation images."
    )
    errors = [row["one_model_standard_error_points"] for row in rows if row.get("one_model_standard_error_points")]
    if n_test is None or not errors:
        return text
    spread = f"{min(errors):.2f} to {max(errors):.2f}" if max(errors) - min(errors) > 0.005 else f"{errors[0]:.2f}"
    return f"{text} Standard error of one model's top-1, √(p(1-p)/{n_test}) on {n_test} test images: {spread} points."


def predictor_name(predictor: str) -> str:
    """A predictor in words: `logit_average_before` is "logit average, pre-trained"."""
    stem, _, stage = predictor.rpartition("_")
    if predictor in NAMES:
        return NAMES[predictor]
    return f"{stem.replace('_', ' ')}, {STAGES[stage]}" if stage in STAGES else predictor.replace("_", " ")


def _scored(names: tuple[str, ...], row: Row) -> TableRow:
    if not row["seeds"]:
        return TableRow(names, _missing(row))
    scores = [_number(row, metric, digits, with_interval=metric == "top1_percent") for _, metric, digits in SCORES]
    return TableRow((*names, _seeds(row), *scores))


def _compared(key: tuple[Any, ...], members: list[Row]) -> TableRow:
    *names, predictor = key
    if predictor is None:
        return TableRow((*names, ""), _missing(members[0]))
    by_baseline = {row["baseline"]: row for row in members}
    cells = [*names, predictor_name(predictor), _seeds(members[0])]
    for baseline in AGAINST:
        row = by_baseline.get(baseline)
        cells += ["absent", ""] if row is None else [_difference(row), _significant(row)]
    return TableRow(tuple(cells))


def _significant(row: Row) -> str:
    """Seeds that differ significantly, and how many of them for the worse."""
    worse = f", {row['seeds_worse']} worse" if row["seeds_worse"] else ""
    return f"{row['seeds_significant']} of {row['seeds']}{worse}"


def _difference(row: Row) -> str:
    value, low, high = (f"{row[name]:+.2f}" for name in ("difference_points", "low_points", "high_points"))
    return f"{value} [{low}, {high}]".replace("-", "−")


def _number(row: Row, metric: str, digits: int, with_interval: bool) -> str:
    mean, low, high = (row.get(f"{metric}_{part}") for part in ("mean", "low", "high"))
    if mean is None:
        return ""
    interval = f" [{low:.{digits}f}, {high:.{digits}f}]" if with_interval and low is not None else ""
    return f"{mean:.{digits}f}{interval}"


def _seeds(row: Row) -> str:
    missing = row.get("missing_seeds", 0)
    return f"{row['seeds']} of {row['seeds'] + missing}" if missing else str(row["seeds"])


def _missing(row: Row) -> str:
    return shorten(f"missing: {row['reason']}", REASON_CHARACTERS, placeholder=" ...")


def _percent(confidence: float) -> str:
    return f"{100 * confidence:g}%"


def spaced(rows: Sequence[TableRow]) -> list[TableRow]:
    """Some space where the architecture, the first cell, changes."""
    changes = [False, *(before.cells[0] != after.cells[0] for before, after in pairwise(rows))]
    return [replace(row, space_above=change) for row, change in zip(rows, changes, strict=False)]
