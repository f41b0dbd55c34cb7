"""Learning rates against torch's schedulers at whole epochs, and by hand between them."""

import warnings

import pytest
import torch
from torch.optim import lr_scheduler

from certifuse.training.schedules import adapted_to_dimension, learning_rate

BASE, LOWEST = 0.4, 0.04


def rates_of_torch(make, epochs):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE)
    scheduler, rates = make(optimiser), []
    for _ in range(epochs):
        rates.append(optimiser.param_groups[0]["lr"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no optimiser step before the scheduler's: there is nothing to train here
            scheduler.step()
    return rates


def ours(schedule, epochs, count):
    return [learning_rate(schedule, BASE, LOWEST, epoch, epochs) for epoch in range(count)]


@pytest.mark.parametrize("epochs", [1, 2, 7, 80])
def test_cosine_is_torchs(epochs):
    expected = rates_of_torch(lambda optimiser: lr_scheduler.CosineAnnealingLR(optimiser, epochs, LOWEST), epochs)
    assert ours("cosine", epochs, epochs) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("epochs", [1, 3, 4, 10, 80, 100, 120])
def test_warm_restarts_are_torchs(epochs):
    """T_0 = epochs // 4 and T_mult = 2, as in the guides; at least one epoch."""
    expected = rates_of_torch(
        lambda optimiser: lr_scheduler.CosineAnnealingWarmRestarts(optimiser, max(1, epochs // 4), 2, LOWEST), epochs
    )
    assert ours("cosine_warm_restarts", epochs, epochs) == pytest.approx(expected, rel=1e-9)


def test_warm_restarts_restart_at_the_base():
    rates = ours("cosine_warm_restarts", 40, 40)
    assert [epoch for epoch in range(40) if rates[epoch] == BASE] == [0, 10, 30]
    assert min(rates) > LOWEST


def test_constant():
    assert ours("constant", 5, 5) == [BASE] * 5


def test_between_whole_epochs():
    assert learning_rate("cosine", BASE, LOWEST, 2.5, 5) == pytest.approx((BASE + LOWEST) / 2)
    assert learning_rate("cosine_warm_restarts", BASE, LOWEST, 1.5, 4) == pytest.approx(
        LOWEST + (BASE - LOWEST) * (1 + 2**-0.5) / 2
    )


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match=r"expected constant, cosine, .* or triangular, found 'linear'"):
        learning_rate("linear", BASE, LOWEST, 0, 1)


def test_warmup_is_linear_from_zero():
    rates = [learning_rate("constant", BASE, LOWEST, epoch, 10, warmup_epochs=4) for epoch in (0, 1, 2, 4, 9)]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.4, 0.4])


def test_triangular_is_torchs_linear_rise_and_fall():
    """At whole epochs; then with a rise alone between them, and without one."""

    def both(optimiser):
        rise = lr_scheduler.LinearLR(optimiser, 1e-12, 1.0, total_iters=3)
        fall = lr_scheduler.LinearLR(optimiser, 1.0, LOWEST / BASE, total_iters=7)
        return lr_scheduler.SequentialLR(optimiser, [rise, fall], milestones=[3])

    expected = rates_of_torch(both, 10)
    found = [learning_rate("triangular", BASE, LOWEST, epoch, 10, warmup_epochs=3) for epoch in range(10)]
    assert found == pytest.approx(expected, abs=1e-9)
    assert learning_rate("triangular", BASE, LOWEST, 1.5, 10, warmup_epochs=3) == pytest.approx(BASE / 2)
    assert learning_rate("triangular", BASE, 0.0, 7.5, 10) == pytest.approx(BASE / 4)
    assert learning_rate("triangular", BASE, LOWEST, 10, 10) == LOWEST


@pytest.mark.parametrize(
    ("feature_dim", "factors"), [(8, (1.3, 1.2)), (99, (1.3, 1.2)), (100, (1, 1)), (1000, (1, 1)), (1001, (0.7, 0.8))]
)
def test_rates_adapt_to_the_feature_size_as_in_the_guides(feature_dim, factors):
    assert adapted_to_dimension(1.0, 10.0, feature_dim) == pytest.approx((factors[0], 10 * factors[1]))
