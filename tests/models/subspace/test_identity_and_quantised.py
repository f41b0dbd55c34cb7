"""The projector that moves every weight by itself, and a network that is trained as its code will be decoded."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from certifuse.models.subspace.projectors import DenseProjector, IdentityProjector
from certifuse.models.subspace.quantisation import fit_codebook, quantise, straight_through
from certifuse.models.subspace.reparametrisation import SubspaceNetwork, trainable_size


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


INPUTS = torch.linspace(-1, 1, 15).view(5, 3)


def test_the_identity_and_its_adjoint_change_nothing():
    projector = IdentityProjector(6)
    values = torch.randn(6)
    assert (projector.subspace_dim, projector.ambient_dim) == (6, 6)
    for product in (projector.apply, projector.adjoint):
        assert torch.equal(product(values), values)
        result = product(values)
        result.zero_()
        assert values.abs().max() > 0, "the result is a copy"
    with pytest.raises(ValueError, match="expected shape"):
        projector.apply(torch.zeros(5))
    with pytest.raises(ValueError, match="1 <= d <= D"):
        IdentityProjector(0)


def test_the_gradient_of_the_identity_is_the_gradient():
    w = torch.randn(6, requires_grad=True)
    (IdentityProjector(6).apply(w) ** 3).sum().backward()
    torch.testing.assert_close(w.grad, 3 * w.detach() ** 2)


def test_any_network_is_reached_from_any_other_by_the_identity():
    prior, target = network(), network()
    with torch.no_grad():
        for parameter in target.parameters():
            parameter += torch.randn(parameter.shape)
    offset = nn.utils.parameters_to_vector(target.parameters()) - nn.utils.parameters_to_vector(prior.parameters())
    wrapped = SubspaceNetwork(prior, IdentityProjector(trainable_size(prior)))
    with torch.no_grad():
        wrapped.w.copy_(offset)
    rebuilt = network()
    wrapped.write_into(rebuilt)
    torch.testing.assert_close(rebuilt(INPUTS), target(INPUTS), atol=1e-6, rtol=1e-5)


def quantised(levels: int = 3) -> tuple[SubspaceNetwork, torch.Tensor]:
    inner = network()
    wrapped = SubspaceNetwork(inner, DenseProjector(5, trainable_size(inner), seed=2))
    with torch.no_grad():
        wrapped.w.copy_(torch.tensor([0.9, -0.4, 0.05, 1.3, -1.1]))
    codebook = fit_codebook(wrapped.w.detach().numpy(), levels, "uniform")
    centroids = torch.from_numpy(codebook.centroids)
    wrapped.quantise = lambda w_d: straight_through(w_d, centroids)
    return wrapped, torch.from_numpy(quantise(wrapped.w.detach().numpy(), codebook))


def test_forward_is_at_the_quantised_weights_and_without_the_hook_at_w():
    wrapped, decoded = quantised()
    full = copy.deepcopy(wrapped)
    full.quantise = None
    with torch.no_grad():
        at_full = full(INPUTS)
        full.w.copy_(decoded)
    assert torch.equal(wrapped(INPUTS), full(INPUTS))
    assert not torch.allclose(at_full, full(INPUTS), atol=1e-3), "negative control: quantisation is seen"


def test_the_gradient_is_taken_at_the_quantised_weights_and_passes_to_w():
    wrapped, decoded = quantised()
    wrapped(INPUTS).square().sum().backward()
    plain = network()
    theta = nn.utils.parameters_to_vector(plain.parameters()).detach() + wrapped.projector.apply(decoded)
    nn.utils.vector_to_parameters(theta, plain.parameters())
    plain(INPUTS).square().sum().backward()
    flat = torch.cat([parameter.grad.flatten() for parameter in plain.parameters()])
    torch.testing.assert_close(wrapped.w.grad, wrapped.projector.adjoint(flat), atol=1e-5, rtol=1e-4)


def test_training_moves_w_until_its_code_changes():
    """Only the network at the quantised weights is ever seen, and yet w crosses into other levels."""
    wrapped, decoded = quantised()
    codebook = fit_codebook(decoded.numpy(), 3, "uniform")
    optimiser = torch.optim.SGD([wrapped.w], lr=0.1)

    def loss() -> torch.Tensor:
        return (wrapped(INPUTS) - 2.0).square().mean()

    before = loss().item()
    for _ in range(100):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert loss().item() < before
    assert not np.array_equal(quantise(wrapped.w.detach().numpy(), codebook), decoded.numpy())
