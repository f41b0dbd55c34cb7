"""Independent trials that err with different probabilities, by brute force: the binomial bound holds for their mean.

Draws stratified by class are such trials. Shapes: n trials, (n + 1,) numbers of errors.
"""

import itertools

import numpy as np
import pytest

from certifuse.evaluation.bounds.binomial import binomial_occam, clopper_pearson, inverted_tail
from certifuse.evaluation.bounds.claims import untouched_claim
from certifuse.evaluation.bounds.kl import kl_occam

DELTAS = (0.5, 0.1, 0.05)


def law(probabilities: tuple[float, ...]) -> np.ndarray:
    """P(errors = k) for k = 0..n, one trial after the other."""
    mass = np.ones(1)
    for p in probabilities:
        mass = np.convolve(mass, [1 - p, p])
    return mass


def failure(probabilities: tuple[float, ...], limits: list[float]) -> float:
    """The probability that the limit of the errors that occur is below the mean of the trials."""
    return float(law(probabilities)[np.array(limits) < np.mean(probabilities)].sum())


def test_two_unequal_trials_refute_clopper_pearson_and_not_the_bound() -> None:
    trials, delta = (1.0, 0.8978), 0.1
    assert failure(trials, [clopper_pearson(k, 2, delta) for k in range(3)]) == pytest.approx(0.1022)
    assert failure(trials, [untouched_claim(k, 2, delta)["bound"] for k in range(3)]) == 0.0
    assert binomial_occam(1, 0.0, 2, delta) == kl_occam(0.5, 0.0, 2, delta) > np.mean(trials)


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_the_bound_holds_for_all_trials_of_a_grid(n: int, delta: float) -> None:
    limits = [binomial_occam(k, 0.0, n, delta) for k in range(n + 1)]
    grid = sorted({0.0, 0.25, 0.5, 0.75, 0.9, 1.0} | {min(p + 1e-9, 1.0) for p in limits})
    worst = max(failure(trials, limits) for trials in itertools.combinations_with_replacement(grid, n))
    assert worst <= delta + 1e-9


def test_without_the_condition_it_would_not_hold_there() -> None:
    """The control: one trial that always errs, the other just likely enough that their mean is above the tail's."""
    limits = [inverted_tail(k, 0.0, 2, 0.1) for k in range(3)]
    assert failure((1.0, 2 * limits[1] - 1 + 1e-6), limits) > 0.1


@pytest.mark.parametrize(("errors", "examples", "bits"), [(4098, 9926, 0.0), (27, 251, 0.0), (1700, 10_000, 1700.0)])
def test_where_the_condition_holds_it_is_the_inverted_tail(errors: int, examples: int, bits: float) -> None:
    assert binomial_occam(errors, bits, examples, 0.05) == inverted_tail(errors, bits, examples, 0.05)
