"""Paired tests, intervals and corrections for comparing models on shared test examples.

Shape suffixes: N examples, S seeds, C distinct values, R resamples. Correctness is boolean, one entry per example.
Accuracies are fractions in [0, 1].
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from certifuse.base.randomness import numpy_stream

ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class McNemar:
    """Examples that only a gets right, examples that only b gets right, and the two-sided p-value."""

    only_a: int
    only_b: int
    p_value: float


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Mean of a minus mean of b, its interval, and the two-sided p-value of no difference."""

    mean: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, kw_only=True)
class MeanInterval:
    """A mean of n values and its interval; `low` and `high` are None where n < 2, which has no interval."""

    mean: float
    low: float | None
    high: float | None
    n: int


def mcnemar_exact(correct_a_N: npt.ArrayLike, correct_b_N: npt.ArrayLike) -> McNemar:
    """Exact McNemar test that two models are equally often right on the same examples (McNemar 1947).

    Given b + c discordant examples, b ~ Binomial(b + c, 1/2) under the null; p = min(1, 2 P(X <= min(b, c))), and 1
    without discordant examples.

    Raises:
        ValueError: arrays that are not boolean, of one shape (N,), and non-empty.
    """
    a_N, b_N = _correctness(correct_a_N, correct_b_N, "N")
    only_a, only_b = int((a_N & ~b_N).sum()), int((~a_N & b_N).sum())
    tail = float(stats.binom.cdf(min(only_a, only_b), only_a + only_b, 0.5))
    return McNemar(only_a=only_a, only_b=only_b, p_value=min(1.0, 2 * tail))


def paired_bootstrap(
    correct_a_SN: npt.ArrayLike, correct_b_SN: npt.ArrayLike, samples: int, confidence: float, seed: int
) -> PairedDifference:
    """Percentile bootstrap of the accuracy of a minus that of b (Efron and Tibshirani 1993, chapter 13).

    Examples are resampled with replacement; an example keeps all its seeds and both models. The statistic depends
    only on how often each distinct per-example difference is drawn, so those counts are drawn from their multinomial
    law: the same distribution as drawing indices, without the (R, N) array. The interval speaks of new test examples
    for these S trained models, not of new seeds: for those see `t_interval` over the seeds.

    Args:
        correct_a_SN: boolean (S, N); entry [s, n] of b is its partner.
        correct_b_SN: boolean (S, N).
        samples: resamples R.
        confidence: of the interval, in (0, 1).
        seed: of the stream "paired bootstrap".

    Returns:
        mean, interval and p = min(1, 2 (1 + min(#{<= 0}, #{>= 0})) / (R + 1)), which inverts the percentile interval
        and is at least 2 / (R + 1).

    Raises:
        ValueError: arrays that are not boolean, of one shape (S, N), and non-empty; `samples` or `confidence`.
    """
    a_SN, b_SN = _correctness(correct_a_SN, correct_b_SN, "SN")
    _check_confidence(confidence)
    if samples < 1:
        raise ValueError(f"samples: expected at least 1, found {samples}")
    seeds, examples = a_SN.shape
    difference_N = a_SN.sum(0, dtype=np.int64) - b_SN.sum(0, dtype=np.int64)
    value_C, count_C = np.unique(difference_N, return_counts=True)
    stream = numpy_stream(seed, "paired bootstrap")
    sum_R = stream.multinomial(examples, count_C / examples, size=samples) @ value_C
    tail = (1.0 - confidence) / 2
    low, high = np.quantile(sum_R / (seeds * examples), (tail, 1.0 - tail))
    extreme = 1 + min(int((sum_R <= 0).sum()), int((sum_R >= 0).sum()))
    return PairedDifference(
        mean=float(difference_N.sum()) / (seeds * examples),
        low=float(low),
        high=float(high),
        p_value=min(1.0, 2 * extreme / (samples + 1)),
    )


def t_interval(values: npt.ArrayLike, confidence: float) -> MeanInterval:
    """Student's interval for the mean of independent normal values: mean +- t_{n-1} s / sqrt(n) (Student 1908).

    Raises:
        ValueError: no values, more than one axis, or values that are not finite; `confidence` outside (0, 1).
    """
    value_S = _vector("values", values)
    _check_confidence(confidence)
    mean, n = float(value_S.mean()), len(value_S)
    if n < 2:
        return MeanInterval(mean=mean, low=None, high=None, n=n)
    quantile = float(stats.t.ppf((1.0 + confidence) / 2, n - 1))
    half_width = quantile * float(value_S.std(ddof=1)) / math.sqrt(n)
    return MeanInterval(mean=mean, low=mean - half_width, high=mean + half_width, n=n)


def holm(p_values: Sequence[float] | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Holm's step-down adjusted p-values in the given order (Holm 1979): family-wise error without independence.

    The i-th smallest of m becomes max_{j <= i} min(1, (m - j + 1) p_(j)); of no tests, nothing.

    Raises:
        ValueError: more than one axis, or values outside [0, 1].
    """
    if not len(p_values):
        return np.empty(0)
    p = _vector("p_values", p_values)
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"p_values: expected values in [0, 1], found {p.min()}..{p.max()}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(np.minimum(1.0, p[order] * np.arange(len(p), 0, -1)))
    adjusted = np.empty_like(stepped)
    adjusted[order] = stepped
    return adjusted


def accuracy_standard_error(accuracy: float, examples: int) -> float:
    """Binomial standard error sqrt(a (1 - a) / N) of an accuracy a in [0, 1]; 0.8 on 10,000 images gives 0.004."""
    if not 0 <= accuracy <= 1 or examples < 1:
        raise ValueError(f"expected accuracy in [0, 1] and examples >= 1, found {accuracy!r} and {examples!r}")
    return math.sqrt(accuracy * (1 - accuracy) / examples)


def convergence_epoch(val_accuracies: Sequence[float] | npt.NDArray[np.float64], tolerance: float) -> int:
    """The first epoch, counted from 1, whose validation accuracy is at least the best minus `tolerance`.

    Both in the same unit. Later epochs may fall below again; rounding counts as within.

    Raises:
        ValueError: no accuracies, more than one axis, values that are not finite, or a negative tolerance.
    """
    accuracy = _vector("val_accuracies", val_accuracies)
    if tolerance < 0:
        raise ValueError(f"tolerance: expected at least 0, found {tolerance!r}")
    best = accuracy.max()
    return 1 + int(np.argmax(accuracy >= best - tolerance - ROUNDING * abs(best)))


def _correctness(
    correct_a: npt.ArrayLike, correct_b: npt.ArrayLike, axes: str
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    a, b = np.asarray(correct_a), np.asarray(correct_b)
    if a.shape != b.shape or a.ndim != len(axes) or a.size == 0:
        expected = f"two equal non-empty shapes ({', '.join(axes)})"
        raise ValueError(f"correct_a, correct_b: expected {expected}, found {a.shape} and {b.shape}")
    if a.dtype != np.bool_ or b.dtype != np.bool_:
        raise ValueError(f"correct_a, correct_b: expected boolean arrays, found {a.dtype} and {b.dtype}")
    return a, b


def _vector(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or vector.size == 0:
        raise ValueError(f"{name}: expected a non-empty shape (n,), found {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name}: expected finite numbers, found {vector.tolist()}")
    return vector


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number in (0, 1), found {confidence!r}")
