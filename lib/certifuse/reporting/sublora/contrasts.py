"""Paired differences between modes, seed by seed, with Student's test and Holm's correction over all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from certifuse.evaluation.statistics import holm, t_interval
from certifuse.reporting.sublora.choice import HEADLINE, compared_rows
from certifuse.reporting.sublora.frames import SubloraFrames, budgets_of, modes_at
from certifuse.reporting.sublora.modes import BASELINES, LEARNED, NULLS, is_allocation

METRICS = {
    HEADLINE: "our bound (bits per token)",
    "bound_published_bpd": "published bound (bits per token)",
    "risk_bpd": "risk (bits per token)",
    "validation_bpd": "held-out loss (bits per token)",
    "code_bits": "code length (bits)",
}
"""What is compared; less is better in all."""

ALLOCATION, OF_NULLS = "allocation", "nulls"
COLUMNS = (
    *("metric", "family", "budget", "levels", "mode", "baseline", "seeds", "baseline_mean"),
    *("difference", "low", "high", "difference_percent", "p_value", "p_holm"),
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
    interval = t_interval(values, confidence)
    p_value = None
    if interval.n > 1:
        error = float(np.std(np.asarray(values, dtype=np.float64), ddof=1)) / np.sqrt(interval.n)
        statistic = abs(interval.mean) / error if error > 0 else (np.inf if interval.mean else 0.0)
        p_value = float(2 * stats.t.sf(statistic, interval.n - 1))
    return MeanTest(mean=interval.mean, low=interval.low, high=interval.high, n=interval.n, p_value=p_value)


def with_holm(tests: Sequence[MeanTest | None]) -> list[MeanTest | None]:
    """The same tests, adjusted for all of them that have a p-value."""
    adjusted = iter(holm([test.p_value for test in tests if test is not None and test.p_value is not None]))
    return [
        test if test is None or test.p_value is None else replace(test, p_holm=float(next(adjusted))) for test in tests
    ]


def contrasts(frames: SubloraFrames, confidence: float) -> list[Contrast]:
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


def contrast_rows(compared: Sequence[Contrast]) -> list[dict[str, Any]]:
    """The contrasts as rows of `COLUMNS`, metric by metric; one without a pair has no number."""
    places = list(METRICS)
    return [_row(one) for one in sorted(compared, key=lambda one: places.index(one.metric))]


def _row(one: Contrast) -> dict[str, Any]:
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
