"""Printed bounds hold: upper ones are never below what they stand for, lower ones never above, and both are near."""

from decimal import Decimal

import numpy as np
import pytest

from certifuse.evaluation.bounds.rounding import lower, upper


@pytest.mark.parametrize(
    ("value", "digits", "up", "down"),
    [
        (77.5999, 1, "77.6", "77.5"),
        (77.5999, 0, "78", "77"),
        (77.6, 1, "77.6", "77.6"),
        (0.1, 2, "0.10", "0.10"),
        (2.675, 2, "2.68", "2.67"),
        (99.999, 2, "100.00", "99.99"),
        (1e-9, 3, "0.001", "0.000"),
        (-0.0015, 3, "-0.001", "-0.002"),
        (123456.7, 0, "123457", "123456"),
        (float("inf"), 2, "inf", "inf"),
    ],
)
def test_values(value: float, digits: int, up: str, down: str) -> None:
    assert (upper(value, digits), lower(value, digits)) == (up, down)


def test_a_percentage_is_that_of_the_fraction() -> None:
    """In double precision 100 x 0.07 is above 7 and 100 x 0.29 below 29."""
    assert (upper(0.07, 2, 100), lower(0.29, 2, 100)) == ("7.00", "29.00")


def test_of_random_numbers_the_nearest_decimal_on_the_right_side() -> None:
    for value in np.random.default_rng(0).uniform(0, 100, 2000).tolist():
        exact = Decimal(repr(value))
        assert exact <= Decimal(upper(value, 2)) < exact + Decimal("0.01")
        assert exact - Decimal("0.01") < Decimal(lower(value, 2)) <= exact
