"""Student's test over seeds, and its correction for many of them. One seed is one observation."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from certifuse.evaluation.statistics import holm, t_interval
from certifuse.reporting.tables import Row

LESS, MORE, CANNOT_TELL = "below zero", "above zero", "the data cannot tell"


def mean_test(values: npt.ArrayLike, confidence: float) -> Row:
    """Student's one-sample test that the mean is zero: `seeds`, `estimate`, `low`, `high` and two-sided `p_value`.

    No values have no estimate, one has neither interval nor p-value; equal ones have p = 1 at zero, else p = 0.

    Raises:
        ValueError: values that are not finite; `confidence` outside (0, 1).
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size == 0:
        return {"seeds": 0} | dict.fromkeys(("estimate", "low", "high", "p_value"))
    found, p = t_interval(sample, confidence), None
    if found.n > 1:
        error = float(np.std(sample, ddof=1)) / np.sqrt(found.n)
        statistic = abs(found.mean) / error if error > 0 else (np.inf if found.mean else 0.0)
        p = float(2 * stats.t.sf(statistic, found.n - 1))
    return {"seeds": found.n, "estimate": found.mean, "low": found.low, "high": found.high, "p_value": p}


def with_holm(tests: Sequence[Row]) -> list[Row]:
    """The tests, each with its p-value adjusted for all of them that have one as `p_holm`."""
    adjusted = iter(holm([test["p_value"] for test in tests if test["p_value"] is not None]))
    return [test | {"p_holm": None if test["p_value"] is None else float(next(adjusted))} for test in tests]
