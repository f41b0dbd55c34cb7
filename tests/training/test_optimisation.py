"""Parameter groups: accumulation, clipping, rates, gradients that are not finite, and optimisers that are put back."""

import math

import pytest
import torch
from torch import nn

from certifuse.training.optimisation import ParameterGroup, make_optimiser, optimiser_tensors, restore_optimiser

LR = 0.1


def group_of(parameters, kind="sgd", **changes):
    optimiser = make_optimiser(kind, parameters, weight_decay=0.0, momentum=changes.pop("momentum", 0.0))
    choices = {"base_lr": LR, "schedule": "constant", "min_lr": 0.0, "epochs": 1} | changes
    return ParameterGroup(name="group", parameters=parameters, optimiser=optimiser, **choices)


def parameter(*values):
    return nn.Parameter(torch.tensor(values))


def add_gradient(target, *values):
    gradient = torch.tensor(values)
    target.grad = gradient if target.grad is None else target.grad + gradient


def test_a_step_by_hand():
    weights = parameter(1.0, 2.0)
    group = group_of([weights])
    add_gradient(weights, 3.0, 4.0)
    norm = group.after_backward(0, last=False)
    assert float(norm) == 5
    torch.testing.assert_close(weights.data, torch.tensor([1 - LR * 3, 2 - LR * 4]))
    assert weights.grad is None


def test_accumulation_steps_on_the_mean_gradient():
    weights = parameter(0.0)
    group = group_of([weights], accumulation_steps=3)
    norms = []
    for gradient in (1.0, 2.0, 6.0):
        add_gradient(weights, gradient)
        norms.append(group.after_backward(0, last=False))
    assert norms[:2] == [None, None]
    assert float(norms[2]) == 3
    torch.testing.assert_close(weights.data, torch.tensor([-LR * 3.0]))


def test_the_last_batch_of_an_epoch_steps_on_the_mean_of_what_there_is():
    weights = parameter(0.0)
    group = group_of([weights], accumulation_steps=4)
    add_gradient(weights, 1.0)
    assert group.after_backward(0, last=False) is None
    add_gradient(weights, 3.0)
    assert float(group.after_backward(0, last=True)) == 2
    torch.testing.assert_close(weights.data, torch.tensor([-LR * 2.0]))
    add_gradient(weights, 8.0)  # counting starts again
    assert group.after_backward(1, last=False) is None


@pytest.mark.parametrize(("limit", "scale"), [(None, 1.0), (10.0, 1.0), (2.5, 0.5), (0.05, 0.01)])
def test_the_norm_over_all_parameters_is_clipped(limit, scale):
    first, second = parameter(0.0), parameter(0.0)
    group = group_of([first, second], clip_norm=limit)
    add_gradient(first, 3.0)
    add_gradient(second, 4.0)
    assert float(group.after_backward(0, last=False)) == 5  # as it was before clipping
    moved = torch.stack([first.data[0], second.data[0]])
    torch.testing.assert_close(moved, -LR * scale * torch.tensor([3.0, 4.0]), rtol=1e-5, atol=0)


def test_groups_are_clipped_apart():
    large, small = parameter(0.0), parameter(0.0)
    groups = [group_of([large], clip_norm=1.0), group_of([small], clip_norm=1.0)]
    add_gradient(large, 100.0)
    add_gradient(small, 0.5)
    for group in groups:
        group.after_backward(0, last=False)
    assert float(large.detach()) == pytest.approx(-LR)
    assert float(small.detach()) == pytest.approx(-LR * 0.5)  # untouched by the norm of the other


def test_the_mean_is_clipped_and_not_the_sum():
    weights = parameter(0.0)
    group = group_of([weights], accumulation_steps=2, clip_norm=3.0)
    for gradient in (2.0, 2.0):
        add_gradient(weights, gradient)
        group.after_backward(0, last=False)
    torch.testing.assert_close(weights.data, torch.tensor([-LR * 2.0]))


def test_the_rate_is_that_of_the_moment():
    weights = parameter(0.0)
    group = group_of([weights], schedule="cosine", epochs=2, warmup_epochs=0.5)
    rates = {0.25: 0.5 * LR * (1 + math.cos(math.pi / 8)) / 2, 1.0: LR / 2, 1.5: LR * (1 - 2**-0.5) / 2}
    for epoch, rate in rates.items():
        before = float(weights.detach())
        add_gradient(weights, 1.0)
        group.after_backward(epoch, last=False)
        assert before - float(weights.detach()) == pytest.approx(rate, rel=1e-5)
        assert group.lr(epoch) == pytest.approx(rate)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_fused_optimisers_are_torchs_plain_ones(kind):
    """Three steps with weight decay, against the single-tensor implementation."""
    ours, plain = (parameter(1.0, -2.0, 0.5) for _ in range(2))
    if kind == "sgd":
        reference = torch.optim.SGD([plain], lr=LR, momentum=0.9, nesterov=True, weight_decay=0.1, foreach=False)
    else:
        reference = torch.optim.AdamW([plain], lr=LR, weight_decay=0.1, foreach=False)
    optimiser = make_optimiser(kind, [ours], weight_decay=0.1)
    for group in optimiser.param_groups:
        group["lr"] = LR
    for step in range(3):
        ours.grad = torch.tensor([0.3, -0.1 * step, 1.0])
        plain.grad = ours.grad.clone()
        optimiser.step()
        reference.step()
    torch.testing.assert_close(ours.data, plain.data)


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(ValueError, match="expected sgd or adamw, found 'adam'"):
        make_optimiser("adam", [parameter(0.0)], 0.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_gradient_that_is_not_finite_changes_nothing(kind, bad):
    weights, other = parameter(1.0, 2.0), parameter(3.0)
    group = group_of([weights, other], kind, momentum=0.9, clip_norm=1.0)
    add_gradient(weights, 0.5, 0.5)
    add_gradient(other, 1.0)
    group.after_backward(0, last=False)
    before = [weights.detach().clone(), other.detach().clone()]
    state = {name: value.clone() for name, value in optimiser_tensors(group.optimiser).items()}
    add_gradient(weights, 1.0, bad)
    add_gradient(other, 1.0)
    assert not group.after_backward(0, last=False).isfinite()
    assert torch.equal(weights.data, before[0])
    assert torch.equal(other.data, before[1])
    for name, value in optimiser_tensors(group.optimiser).items():
        assert torch.equal(value, state[name]), name


def steps(weights, group, first, count):
    for step in range(first, first + count):
        weights.grad = torch.randn(weights.shape, generator=torch.Generator().manual_seed(step)).to(
            memory_format=torch.channels_last
        )
        group.after_backward(0, last=False)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_an_optimiser_that_is_put_back_goes_on_as_if_nothing_had_been(kind):
    """Also where weights are channels_last and the stored buffers are contiguous, as files hold them."""

    def fresh():
        values = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(9))
        weights = nn.Parameter(values.to(memory_format=torch.channels_last))
        return weights, group_of([weights], kind, momentum=0.9)

    uninterrupted, group = fresh()
    steps(uninterrupted, group, 0, 2)
    stored = {name: value.clone().contiguous() for name, value in optimiser_tensors(group.optimiser).items()}
    halfway = uninterrupted.detach().clone()
    steps(uninterrupted, group, 2, 3)

    resumed, group = fresh()
    resumed.data.copy_(halfway)
    restore_optimiser(group.optimiser, stored)
    steps(resumed, group, 2, 3)
    assert torch.equal(resumed.data, uninterrupted.data)

    forgetful, group = fresh()  # negative control
    forgetful.data.copy_(halfway)
    steps(forgetful, group, 2, 3)
    assert not torch.equal(forgetful.data, uninterrupted.data)
