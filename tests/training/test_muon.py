"""Muon: its matrices against an SVD and PyTorch's own optimiser, filters and groups, and that it resumes exactly."""

import pytest
import torch
from torch import nn

from certifuse.study.settings.recipe import MuonSettings
from certifuse.training.muon import COEFFICIENTS, Muon, orthogonalised
from certifuse.training.optimisation import Optimisation, optimiser_bytes, optimiser_tensors, restore_optimiser

LR = 0.1
SHAPES = [(6, 6), (4, 18), (18, 4)]


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def muon(*matrices, **changes):
    choices = {"momentum": 0.9, "weight_decay": 0.1, "steps": 5, "normalise": False, "dtype": torch.float32} | changes
    optimiser = Muon([matrix if isinstance(matrix, tuple) else (matrix, 1) for matrix in matrices], **choices)
    for group in optimiser.param_groups:
        group["lr"] = LR
    return optimiser


def gradients(parameters, step):
    for number, parameter in enumerate(parameters):
        parameter.grad = random(*parameter.shape, seed=100 * step + number).to(parameter.device)


# ---- the matrices --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_newton_schulz_is_its_polynomial_on_the_singular_values(shape):
    """In float64: U f(f(...(S))) V^T with the S of a matrix of norm one."""
    matrix = random(*shape).double()
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    values = values / matrix.norm()
    a, b, c = COEFFICIENTS
    for _ in range(3):
        values = a * values + b * values**3 + c * values**5
    found = orthogonalised(matrix[None], 3, torch.float64)[0]
    torch.testing.assert_close(found, left @ values.diag() @ right)


@pytest.mark.parametrize(("dtype", "slack"), [(torch.float32, 0.0), (torch.bfloat16, 0.03)])
@pytest.mark.parametrize("shape", SHAPES)
def test_five_steps_come_near_the_orthogonal_matrix_of_the_svd(shape, dtype, slack):
    """U V^T, with singular values between 0.68 and 1.14 instead of ones: the tolerance of these coefficients."""
    left, values, right = torch.linalg.svd(random(*shape), full_matrices=False)
    matrix = left @ torch.linspace(0.2, 1.0, len(values)).diag() @ right  # well conditioned
    inside = left.T @ orthogonalised(matrix[None], 5, dtype)[0].float() @ right.T
    assert (inside.diagonal() > 0.68 - slack).all()
    assert (inside.diagonal() < 1.14 + slack).all()
    torch.testing.assert_close(inside, inside.diagonal().diag(), rtol=0, atol=1e-5 + slack)


def test_matrices_of_a_batch_do_not_meet():
    matrices = random(3, 4, 10)
    together = orthogonalised(matrices, 5, torch.float32)
    alone = torch.cat([orthogonalised(matrix[None], 5, torch.float32) for matrix in matrices])
    torch.testing.assert_close(together, alone)


# ---- the optimiser -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_steps_are_those_of_torch(shape):
    """Three of them, with momentum, decay and the factor for tall matrices; PyTorch's computes in bf16."""
    ours, theirs = (nn.Parameter(random(*shape)) for _ in range(2))
    optimiser = muon(ours, dtype=torch.bfloat16)
    reference = torch.optim.Muon([theirs], lr=LR, momentum=0.9, weight_decay=0.1, ns_steps=5)
    for step in range(3):
        gradients([ours], step)
        gradients([theirs], step)
        optimiser.step()
        reference.step()
    torch.testing.assert_close(ours.data, theirs.data, rtol=0, atol=3 * LR * 0.02)
    assert (ours.data - random(*shape)).norm() > 0.2  # far more than the tolerance


def test_filters_are_matrices_with_a_row_for_each_output():
    filters = nn.Parameter(random(6, 4, 3, 3).contiguous(memory_format=torch.channels_last))
    matrix = nn.Parameter(random(6, 4, 3, 3).flatten(1))
    optimisers = muon(filters), muon(matrix)
    for step in range(2):
        filters.grad = random(6, 4, 3, 3, seed=step).contiguous(memory_format=torch.channels_last)
        matrix.grad = random(6, 4, 3, 3, seed=step).flatten(1)
        for optimiser in optimisers:
            optimiser.step()
    torch.testing.assert_close(filters.data.flatten(1), matrix.data)


def test_groups_of_a_grouped_convolution_are_matrices_of_their_own():
    grouped = nn.Parameter(random(6, 2, 3, 3))
    parts = [nn.Parameter(part.clone()) for part in grouped.data.split(3)]
    optimisers = muon((grouped, 2)), muon(*parts)
    grouped.grad = random(6, 2, 3, 3, seed=5)
    for part, gradient in zip(parts, grouped.grad.split(3), strict=True):
        part.grad = gradient.clone()
    for optimiser in optimisers:
        optimiser.step()
    torch.testing.assert_close(grouped.data, torch.cat([part.data for part in parts]))


def test_normalised_filters_have_the_norm_of_orthonormal_rows_before_a_step():
    """So the rate alone is the angle of a step, whatever the size of the weights was."""
    ends = []
    for size in (0.01, 100.0):
        weights = nn.Parameter(size * random(4, 3, 3, 3))
        optimiser = muon(weights, normalise=True, weight_decay=0.0)
        weights.grad = random(4, 3, 3, 3, seed=1)
        optimiser.step()
        ends.append(weights.data)
    start = random(4, 3, 3, 3)
    start *= 2 / start.norm()
    direction = orthogonalised(random(4, 3, 3, 3, seed=1).reshape(1, 4, 27), 5, torch.float32).view_as(start)
    for end in ends:
        torch.testing.assert_close(end, start - LR * direction, rtol=1e-4, atol=1e-5)


# ---- as a part of a training ---------------------------------------------------------------------


def small_network():
    """With every kind of parameter: plain and grouped filters, a norm, matrices of one shape, a head."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, groups=2), nn.Linear(4, 4)]
    return nn.Sequential(*layers, nn.Linear(4, 4)).to(memory_format=torch.channels_last)


def groups_of(network, **changes):
    settings = MuonSettings(norm_lr_factor=0.5, head_lr_factor=2.0, **changes)
    rates = {"schedule": "constant", "min_lr": 0.01, "epochs": 1}
    return Optimisation("muon", 0.01, settings).groups("all", network, LR, **rates)


def steps(network, groups, first, count):
    for step in range(first, first + count):
        gradients(list(network.parameters()), step)
        for group in groups:
            group.after_backward(0, last=False)


def test_every_kind_of_parameter_has_its_rate():
    network = small_network()
    matrices, others = groups_of(network, others="adamw")
    assert [group.name for group in (matrices, others)] == ["all", "all_others"]
    assert (matrices.lr(0), others.lr(0), others.min_lr) == (LR, 0.5 * LR, 0.5 * 0.01)
    assert isinstance(others.optimiser, torch.optim.AdamW)
    held = [id(parameter) for group in (matrices, others) for parameter in group.parameters]
    assert sorted(held) == sorted(map(id, network.parameters()))
    (head,) = groups_of(network[-1])
    assert (head.name, head.lr(0)) == ("all_heads", 2 * LR)
    assert isinstance(head.optimiser, torch.optim.SGD)


def test_a_gradient_that_is_not_finite_changes_nothing():
    network = small_network()
    matrices, _ = groups_of(network)
    steps(network, [matrices], 0, 1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = {name: value.clone() for name, value in optimiser_tensors(matrices.optimiser).items()}
    gradients(list(network.parameters()), 1)
    network[0].weight.grad[0, 0, 0, 0] = float("nan")
    assert not matrices.after_backward(0, last=False).isfinite()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    found = optimiser_tensors(matrices.optimiser)
    assert all(torch.equal(value, state[name]) for name, value in found.items())
    assert optimiser_bytes(matrices.optimiser) == sum(tensor.nbytes for tensor in found.values())


@pytest.mark.parametrize("others", ["sgd", "adamw"])
def test_a_training_that_is_put_back_goes_on_as_if_nothing_had_been(others):
    """Also where filters are channels_last and stored buffers contiguous, as files hold them."""
    uninterrupted = small_network()
    groups = groups_of(uninterrupted, others=others)
    steps(uninterrupted, groups, 0, 2)
    halfway = {name: value.clone() for name, value in uninterrupted.state_dict().items()}
    stored = [
        {name: value.clone().contiguous() for name, value in optimiser_tensors(group.optimiser).items()}
        for group in groups
    ]
    steps(uninterrupted, groups, 2, 3)

    def from_halfway(put_back):
        network = small_network()
        network.load_state_dict(halfway)
        fresh = groups_of(network, others=others)
        for group, tensors in zip(fresh, stored, strict=True):
            if put_back(group):
                restore_optimiser(group.optimiser, tensors)
        steps(network, fresh, 2, 3)
        return network.state_dict()

    def equal(state):
        return all(torch.equal(value, state[name]) for name, value in uninterrupted.state_dict().items())

    assert equal(from_halfway(lambda group: True))
    assert not equal(from_halfway(lambda group: group.name != "all"))  # negative controls: without one of the states
    assert not equal(from_halfway(lambda group: group.name == "all"))
