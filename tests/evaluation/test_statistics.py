"""Tests and intervals against statsmodels, scipy, brute force and simulated coverage."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from certifuse.base.randomness import numpy_stream
from certifuse.evaluation.statistics import (
    accuracy_standard_error,
    convergence_epoch,
    holm,
    mcnemar_exact,
    paired_bootstrap,
    t_interval,
)


def correctness(accuracy: float, shape: tuple[int, ...], *name: str | int) -> npt.NDArray[np.bool_]:
    return numpy_stream(0, "correctness", *name).random(shape) < accuracy


@pytest.mark.parametrize(("accuracy_a", "accuracy_b", "examples"), [(0.7, 0.6, 300), (0.8, 0.8, 50), (0.9, 0.2, 40)])
def test_mcnemar_equals_statsmodels(accuracy_a: float, accuracy_b: float, examples: int) -> None:
    a_N, b_N = correctness(accuracy_a, (examples,), "a"), correctness(accuracy_b, (examples,), "b")
    table = [[(a_N & b_N).sum(), (a_N & ~b_N).sum()], [(~a_N & b_N).sum(), (~a_N & ~b_N).sum()]]
    found = mcnemar_exact(a_N, b_N)
    assert (found.only_a, found.only_b) == (table[0][1], table[1][0])
    assert found.p_value == pytest.approx(mcnemar(table, exact=True).pvalue, rel=1e-12)
    assert mcnemar_exact(b_N, a_N).p_value == found.p_value


def test_mcnemar_by_hand() -> None:
    # 5 against 1: 2 (1 + 6) / 64.
    a_N, b_N = np.array([True] * 5 + [False]), np.array([False] * 5 + [True])
    assert mcnemar_exact(a_N, b_N).p_value == pytest.approx(14 / 64)
    assert mcnemar_exact(a_N, a_N).p_value == 1.0
    assert mcnemar_exact(torch.from_numpy(a_N), torch.from_numpy(b_N)).only_a == 5


def test_bootstrap_equals_resampling_indices() -> None:
    a_SN, b_SN = correctness(0.75, (3, 200), "a"), correctness(0.70, (3, 200), "b")
    found = paired_bootstrap(a_SN, b_SN, 20_000, 0.9, seed=1)
    difference_N = a_SN.mean(0) - b_SN.mean(0)
    index_RN = numpy_stream(0, "indices").integers(200, size=(20_000, 200))
    means_R = difference_N[index_RN].mean(1)
    low, high = np.quantile(means_R, (0.05, 0.95))
    step = 1.01 / (3 * 200)  # the means lie on this grid, and a quantile may fall on either side
    assert found.mean == pytest.approx(difference_N.mean(), abs=1e-12)
    assert found.low == pytest.approx(low, abs=step)
    assert found.high == pytest.approx(high, abs=step)
    brute_p = 2 * min((means_R < 1e-9).mean(), (means_R > -1e-9).mean())
    assert found.p_value == pytest.approx(brute_p, abs=0.02)


def test_bootstrap_repeats_by_seed_and_mirrors_when_the_models_swap() -> None:
    a_SN, b_SN = correctness(0.75, (2, 100), "a"), correctness(0.70, (2, 100), "b")
    found = paired_bootstrap(a_SN, b_SN, 500, 0.95, seed=3)
    assert found == paired_bootstrap(a_SN, b_SN, 500, 0.95, seed=3)
    assert found != paired_bootstrap(a_SN, b_SN, 500, 0.95, seed=4)
    assert paired_bootstrap(b_SN, a_SN, 500, 0.95, seed=3).mean == -found.mean


def test_bootstrap_of_extremes() -> None:
    a_SN = np.ones((2, 50), dtype=bool)
    certain = paired_bootstrap(a_SN, ~a_SN, 999, 0.95, seed=0)
    assert (certain.mean, certain.low, certain.high, certain.p_value) == (1.0, 1.0, 1.0, 0.002)
    equal = paired_bootstrap(a_SN, a_SN, 999, 0.95, seed=0)
    assert (equal.mean, equal.low, equal.high, equal.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_pairing_narrows_the_interval() -> None:
    shared_SN, flip_SN = correctness(0.7, (1, 2000), "shared"), correctness(0.02, (1, 2000), "flip")
    paired = paired_bootstrap(shared_SN ^ flip_SN, shared_SN, 1000, 0.95, seed=0)
    unpaired = paired_bootstrap(shared_SN ^ flip_SN, correctness(0.7, (1, 2000), "other"), 1000, 0.95, seed=0)
    assert paired.high - paired.low < 0.4 * (unpaired.high - unpaired.low)


def test_bootstrap_covers_the_truth_and_a_narrower_interval_does_not() -> None:
    repeats, examples, difference = 300, 400, 0.05
    covered = {0.95: 0, 0.5: 0}
    rejected = 0
    for repeat in range(repeats):
        a_SN, b_SN = correctness(0.75, (1, examples), "a", repeat), correctness(0.70, (1, examples), "b", repeat)
        null_SN = correctness(0.75, (1, examples), "null", repeat)
        for confidence in covered:
            found = paired_bootstrap(a_SN, b_SN, 400, confidence, seed=repeat)
            covered[confidence] += found.low <= difference <= found.high
        rejected += paired_bootstrap(a_SN, null_SN, 400, 0.95, seed=repeat).p_value <= 0.05
    assert covered[0.95] / repeats == pytest.approx(0.95, abs=0.035)
    assert covered[0.5] / repeats == pytest.approx(0.5, abs=0.09)
    assert rejected / repeats == pytest.approx(0.05, abs=0.035)


def test_t_interval_equals_scipy() -> None:
    values = [79.1, 80.4, 79.9, 80.6]
    found = t_interval(values, 0.9)
    low, high = stats.t.interval(0.9, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (found.mean, found.low, found.high, found.n) == pytest.approx((np.mean(values), low, high, 4))


def test_one_value_has_no_interval() -> None:
    found = t_interval([0.8], 0.95)
    assert (found.mean, found.low, found.high, found.n) == (0.8, None, None, 1)


def test_holm_equals_statsmodels_and_keeps_the_order() -> None:
    for size in (1, 2, 7, 30):
        p_values = numpy_stream(0, "holm", size).random(size) ** 3
        adjusted = holm(p_values)
        np.testing.assert_allclose(adjusted, multipletests(p_values, method="holm")[1], rtol=1e-12)
        order = np.argsort(p_values)
        assert (np.diff(adjusted[order]) >= 0).all()
        assert (adjusted >= p_values).all()
        assert (adjusted <= 1).all()


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03]), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.5]), [1.0, 1.0])
    assert holm([]).shape == (0,)


def test_the_standard_error_is_four_tenths_of_a_point_at_eighty_percent() -> None:
    assert accuracy_standard_error(0.8, 10_000) == pytest.approx(0.004)
    spread = correctness(0.8, (4000, 100), "spread").mean(1).std()
    assert accuracy_standard_error(0.8, 100) == pytest.approx(spread, rel=0.05)


@pytest.mark.parametrize(
    ("accuracies", "tolerance", "epoch"),
    [
        ([0.5, 0.7, 0.79, 0.80, 0.78], 0.0, 4),
        ([0.5, 0.7, 0.79, 0.80, 0.78], 0.01, 3),
        ([0.7, 0.8], 0.1, 1),  # 0.8 - 0.1 rounds to more than 0.7
        ([0.8, 0.8, 0.8], 0.0, 1),
        ([71.0, 79.4, 71.0, 79.9], 0.5, 2),
        ([0.3], 0.0, 1),
        ([0.1, 0.2], 1.0, 1),
    ],
)
def test_convergence_epoch(accuracies: list[float], tolerance: float, epoch: int) -> None:
    assert convergence_epoch(accuracies, tolerance) == epoch


def test_bad_inputs_are_refused() -> None:
    right_N = np.ones(4, dtype=bool)
    with pytest.raises(ValueError, match=r"shapes \(N\), found \(4,\) and \(3,\)"):
        mcnemar_exact(right_N, right_N[1:])
    with pytest.raises(ValueError, match="expected boolean arrays, found bool and int64"):
        mcnemar_exact(right_N, np.ones(4, dtype=np.int64))
    with pytest.raises(ValueError, match=r"shapes \(S, N\), found \(4,\) and \(4,\)"):
        paired_bootstrap(right_N, right_N, 10, 0.95, 0)
    with pytest.raises(ValueError, match="samples: expected at least 1, found 0"):
        paired_bootstrap(right_N[None], right_N[None], 0, 0.95, 0)
    with pytest.raises(ValueError, match=r"expected a number in \(0, 1\), found 95"):
        t_interval([1.0, 2.0], 95)
    with pytest.raises(ValueError, match=r"non-empty shape \(n,\), found \(0,\)"):
        t_interval([], 0.95)
    with pytest.raises(ValueError, match=r"expected values in \[0, 1\], found 0.5..1.5"):
        holm([0.5, 1.5])
    with pytest.raises(ValueError, match="expected finite numbers"):
        convergence_epoch([0.5, math.nan], 0.0)
    with pytest.raises(ValueError, match="tolerance: expected at least 0"):
        convergence_epoch([0.5], -0.1)
    with pytest.raises(ValueError, match="expected accuracy in"):
        accuracy_standard_error(80.0, 100)
