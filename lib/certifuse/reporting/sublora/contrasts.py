"""Paired differences between modes, seed by seed, with Student's test and Holm's correction over all of them."""

from collections.abc import Sequence
from itertools import groupby, product

import pandas as pd

from certifuse.reporting.frames import Frames
from certifuse.reporting.latex import TableRow, longtable
from certifuse.reporting.seed_tests import mean_test, with_holm
from certifuse.reporting.sublora.choice import HEADLINE, compared_rows
from certifuse.reporting.sublora.frames import budgets_of, modes_at
from certifuse.reporting.sublora.modes import BASELINES, LEARNED, NULLS, is_allocation, mode_label
from certifuse.reporting.tables import Row
from certifuse.reporting.text import interval, p_value, signed, whole

METRICS = {
    HEADLINE: "our bound (bits per token)",
    "bound_published_bpd": "published bound (bits per token)",
    "risk_bpd": "risk (bits per token)",
    "validation_bpd": "held-out loss (bits per token)",
    "code_bits": "code length (bits)",
}
"""What is compared; less is better in all."""

IN_TEXT = (HEADLINE, "validation_bpd")
"""The metrics whose contrasts LaTeX shows; the CSV file has all."""

ALLOCATION, OF_NULLS = "allocation", "nulls"
COLUMNS = (
    *("metric", "family", "budget", "levels", "mode", "baseline", "seeds", "baseline_mean"),
    *("difference", "low", "high", "difference_percent", "p_value", "p_holm"),
)
HEADERS = (
    *(("budget d", "r"), ("L", "r"), ("mode", "l"), ("minus", "l"), ("seeds", "r")),
    *(("difference", "r"), ("interval", "r"), ("p", "r"), ("p (Holm)", "r")),
)


def contrasts(frames: Frames, confidence: float) -> list[Row]:
    """`mode` minus `baseline` over the seeds that have both, as rows of `COLUMNS`, metric by metric.

    Allocations stand against the baselines, learned gates against their nulls. A family, which Holm's correction is
    over, is all contrasts of one kind (allocation or nulls) in one metric, at all budgets.
    """
    budgets = {d: (compared_rows(frames.metrics, d), modes_at(frames, d)) for d in budgets_of(frames)}
    found = []
    for metric, family in product(METRICS, (ALLOCATION, OF_NULLS)):
        tests = [
            {"metric": metric, "family": family, "budget": d, **_contrast(rows, metric, mode, baseline, confidence)}
            for d, (rows, modes) in budgets.items()
            for mode, baseline in _pairs(family, modes)
        ]
        found += with_holm(tests)
    return found


def paired(rows: pd.DataFrame, mode: str, baseline: str, column: str) -> pd.DataFrame:
    """The values of both modes, a column each, for every seed that has both."""
    values = rows.pivot(index="seed", columns="mode", values=column)
    pairs: pd.DataFrame = values.reindex(columns=[mode, baseline]).dropna()
    return pairs


def _contrast(rows: pd.DataFrame, metric: str, mode: str, baseline: str, confidence: float) -> Row:
    pairs = paired(rows, mode, baseline, metric)
    test = mean_test((pairs[mode] - pairs[baseline]).to_numpy(float), confidence)
    difference, mean = test.pop("estimate"), None if pairs.empty else float(pairs[baseline].mean())
    names = {"levels": None if rows.empty else int(rows["levels"].iloc[0]), "mode": mode, "baseline": baseline}
    found = {"difference": difference, "difference_percent": 100 * difference / mean if mean else None}
    return {**names, "baseline_mean": mean, **found, **test}


def _pairs(family: str, modes: Sequence[str]) -> list[tuple[str, str]]:
    """Learned gates with every null; or every allocation with every baseline, the two baselines once."""
    if family == OF_NULLS:
        return [(LEARNED, null) for null in NULLS if null in modes and LEARNED in modes]
    allocations = [mode for mode in modes if is_allocation(mode)]
    pairs = [(mode, baseline) for baseline in BASELINES if baseline in allocations for mode in allocations]
    return [(mode, baseline) for mode, baseline in pairs if mode != baseline and (mode, baseline) != BASELINES]


def contrasts_tex(rows: Sequence[Row], study: str, confidence: float) -> str:
    """The contrasts of our bound and of the held-out loss, a part of the table each."""
    caption = (
        f"Study {study}. Differences paired by seed: mean, {100 * confidence:g}% t interval, Student's two-sided test, "
        "and its p-value by Holm's method over all contrasts of the same kind (baselines or nulls) and metric. "
        "Negative: the mode is better."
    )
    lines = []
    shown = [row for row in rows if row["metric"] in IN_TEXT]
    for part, members in groupby(shown, key=lambda row: (row["metric"], row["family"])):
        title = TableRow((), f"{METRICS[part[0]]}, {part[1]}", part)
        lines += [title, *(_line(row, part) for row in members)]
    return longtable("sublora_contrasts", caption, HEADERS, lines)


def _line(row: Row, part: tuple[str, str]) -> TableRow:
    names = (whole(row["budget"]), whole(row["levels"]), mode_label(row["mode"]), mode_label(row["baseline"]))
    if not row["seeds"]:
        return TableRow((*names, "0"), "missing: no seed has both", part)
    tests = (p_value(row["p_value"]), p_value(row["p_holm"]))
    around = interval(row["low"], row["high"])
    return TableRow((*names, str(row["seeds"]), signed(row["difference"]), around, *tests), group=part)
