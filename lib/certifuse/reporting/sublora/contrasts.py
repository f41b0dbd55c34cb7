"""Paired differences between modes, seed by seed, with Student's test and Holm's correction over all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from certifuse.evaluation.statistics import holm, t_interval
from certifuse.reporting.frames import Frames
from certifuse.reporting.latex import TableRow, longtable, spaced
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


@dataclass(frozen=True, kw_only=True)
class MeanTest:
    """The mean of n values, its interval, and the two-sided p-value of a zero mean; both None where n < 2."""

    mean: float
    low: float | None
    high: float | None
    n: int
    p_value: float | None
    p_holm: float | None = None


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """`mode` minus `baseline` in one metric, at one budget and number of levels, over the seeds that have both."""

    family: str
    metric: str
    d: int
    levels: int | None
    mode: str
    baseline: str
    baseline_mean: float | None
    tested: MeanTest | None


def mean_test(values: npt.ArrayLike, confidence: float) -> MeanTest:
    """Student's one-sample test that the mean is zero; values that are all equal have p = 1 at zero, else p = 0.

    Raises:
        ValueError: no values, or values that are not finite; `confidence` outside (0, 1).
    """
    found, p = t_interval(values, confidence), None
    if found.n > 1:
        error = float(np.std(np.asarray(values, dtype=np.float64), ddof=1)) / np.sqrt(found.n)
        statistic = abs(found.mean) / error if error > 0 else (np.inf if found.mean else 0.0)
        p = float(2 * stats.t.sf(statistic, found.n - 1))
    return MeanTest(mean=found.mean, low=found.low, high=found.high, n=found.n, p_value=p)


def with_holm(tests: Sequence[MeanTest | None]) -> list[MeanTest | None]:
    """The same tests, adjusted for all of them that have a p-value."""
    adjusted = iter(holm([test.p_value for test in tests if test is not None and test.p_value is not None]))
    return [
        test if test is None or test.p_value is None else replace(test, p_holm=float(next(adjusted))) for test in tests
    ]


def contrasts(frames: Frames, confidence: float) -> list[Contrast]:
    """Every contrast: allocations against the baselines, and learned gates against their nulls.

    A family, which Holm's correction is over, is all contrasts of one kind (allocation or nulls) in one metric, at all
    budgets.
    """
    budgets = {d: (compared_rows(frames.metrics, d), modes_at(frames, d)) for d in budgets_of(frames)}
    found = []
    for family, pairs in ((ALLOCATION, _against_baselines), (OF_NULLS, _against_nulls)):
        for metric in METRICS:
            tests = [
                _contrast(rows, family, metric, d, mode, baseline, confidence)
                for d, (rows, modes) in budgets.items()
                for mode, baseline in pairs(modes)
            ]
            adjusted = with_holm([contrast.tested for contrast in tests])
            found += [replace(contrast, tested=test) for contrast, test in zip(tests, adjusted, strict=True)]
    return found


def contrast_rows(compared: Sequence[Contrast]) -> list[Row]:
    """The contrasts as rows of `COLUMNS`, metric by metric; one without a pair has no number."""
    places = list(METRICS)
    return [_row(one) for one in sorted(compared, key=lambda one: places.index(one.metric))]


def _row(one: Contrast) -> Row:
    names = {"metric": one.metric, "family": one.family, "budget": one.d, "levels": one.levels}
    names |= {"mode": one.mode, "baseline": one.baseline, "baseline_mean": one.baseline_mean}
    test = one.tested
    if test is None:
        return names | {"seeds": 0}
    percent = 100 * test.mean / one.baseline_mean if one.baseline_mean else None
    found = {"seeds": test.n, "difference": test.mean, "difference_percent": percent, "low": test.low}
    return names | found | {"high": test.high, "p_value": test.p_value, "p_holm": test.p_holm}


def paired(rows: pd.DataFrame, mode: str, baseline: str, column: str) -> pd.DataFrame:
    """The values of both modes, a column each, for every seed that has both."""
    values = rows.pivot(index="seed", columns="mode", values=column)
    pairs: pd.DataFrame = values.reindex(columns=[mode, baseline]).dropna()
    return pairs


def _contrast(
    rows: pd.DataFrame, family: str, metric: str, d: int, mode: str, baseline: str, confidence: float
) -> Contrast:
    pairs = paired(rows, mode, baseline, metric)
    differences = (pairs[mode] - pairs[baseline]).to_numpy(float)
    return Contrast(
        family=family,
        metric=metric,
        d=d,
        levels=None if rows.empty else int(rows["levels"].iloc[0]),
        mode=mode,
        baseline=baseline,
        baseline_mean=None if pairs.empty else float(pairs[baseline].mean()),
        tested=None if pairs.empty else mean_test(differences, confidence),
    )


def _against_baselines(modes: Sequence[str]) -> list[tuple[str, str]]:
    """Every allocation with every baseline, the two baselines with each other once."""
    allocations = [mode for mode in modes if is_allocation(mode)]
    pairs = [(mode, baseline) for baseline in BASELINES if baseline in allocations for mode in allocations]
    return [(mode, baseline) for mode, baseline in pairs if mode != baseline and (mode, baseline) != BASELINES]


def _against_nulls(modes: Sequence[str]) -> list[tuple[str, str]]:
    return [(LEARNED, null) for null in NULLS if null in modes and LEARNED in modes]


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
        lines.append((part, TableRow((), f"{METRICS[part[0]]}, {part[1]}")))
        lines += [(part, _line(row)) for row in members]
    return longtable("sublora_contrasts", caption, HEADERS, spaced(lines))


def _line(row: Row) -> TableRow:
    names = (whole(row["budget"]), whole(row["levels"]), mode_label(row["mode"]), mode_label(row["baseline"]))
    if not row["seeds"]:
        return TableRow((*names, "0"), "missing: no seed has both")
    tests = (p_value(row["p_value"]), p_value(row["p_holm"]))
    return TableRow((*names, str(row["seeds"]), signed(row["difference"]), interval(row["low"], row["high"]), *tests))
