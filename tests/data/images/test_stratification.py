"""Shares and draws against hand-made counts, the definition of largest remainder, and brute force."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from certifuse.base.randomness import numpy_stream
from certifuse.data.images.splits import apportion, stratified_draw


def stream(seed=0):
    return numpy_stream(seed, "test")


@pytest.mark.parametrize(
    ("size", "counts", "expected"),
    [
        (10_000, [500] * 100, [100] * 100),
        (8, [10, 30], [2, 6]),
        (3, [10, 30], [1, 2]),  # shares 0.75 and 2.25
        (0, [4, 4], [0, 0]),
        (8, [4, 4], [4, 4]),
        (2, [5, 0, 5], [1, 0, 1]),
    ],
)
def test_shares_worked_out_by_hand(size, counts, expected):
    assert apportion(size, np.array(counts), stream()).tolist() == expected


def test_equal_remainders_are_settled_by_the_generator_and_not_by_the_class_number():
    winners = {int(apportion(1, np.array([3, 3, 3]), stream(seed)).argmax()) for seed in range(30)}
    assert winners == {0, 1, 2}


def test_more_than_there_is_is_refused():
    with pytest.raises(ValueError, match=r"0\.\.4, found 5"):
        apportion(5, np.array([2, 2]), stream())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_share_is_within_one_of_its_exact_value(data):
    counts = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=8))
    size = data.draw(st.integers(0, sum(counts)))
    shares = apportion(size, np.array(counts), stream())
    assert shares.sum() == size
    for share, count in zip(shares.tolist(), counts, strict=True):
        assert 0 <= share <= count
        assert not sum(counts) or abs(share - Fraction(size * count, sum(counts))) < 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 2**32), st.data())
def test_a_draw_divides_the_given_indices_and_takes_each_class_by_its_share(labels, seed, data):
    labels = np.array(labels)
    indices = 7 + 3 * np.arange(len(labels))
    size = data.draw(st.integers(0, len(labels)))
    drawn, rest = stratified_draw(indices, labels, size, stream(seed))
    assert sorted([*drawn, *rest]) == indices.tolist()
    assert len(drawn) == size
    assert (np.diff(drawn) > 0).all()
    for label in range(5):
        taken = int((labels[(drawn - 7) // 3] == label).sum())
        assert abs(taken - size * int((labels == label).sum()) / len(labels)) < 1


def test_inside_a_class_every_image_is_as_likely():
    labels, times = np.array([0, 0, 0, 0, 1, 1]), np.zeros(6)
    generator = stream()
    for _ in range(1200):
        drawn, _ = stratified_draw(np.arange(6), labels, 3, generator)
        times[drawn] += 1
    assert np.abs(times - 600).max() < 90  # 5 standard deviations of Binomial(1200, 1/2)
