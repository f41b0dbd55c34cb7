import copy

import pytest
import torch
from torch import nn

from certifuse.models.subspace.projectors import DenseProjector, SparseProjector
from certifuse.models.subspace.reparametrisation import SubspaceNetwork, trainable_size


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 2)
    )


def wrapped(d=4):
    inner = network()
    return SubspaceNetwork(inner, DenseProjector(d, trainable_size(inner), seed=1))


IMAGES = torch.linspace(-1, 1, 5 * 16).view(5, 1, 4, 4)


def test_the_origin_is_the_prior():
    assert torch.equal(wrapped().eval()(IMAGES), network().eval()(IMAGES))


def test_parameters_are_theta0_plus_p_w():
    model = wrapped().eval()
    with torch.no_grad():
        model.w.copy_(torch.tensor([1.0, -2.0, 0.5, 3.0]))
    plain = network().eval()
    theta = nn.utils.parameters_to_vector(plain.parameters()) + model.projector.apply(model.w)
    nn.utils.vector_to_parameters(theta, plain.parameters())
    assert torch.allclose(model(IMAGES), plain(IMAGES), atol=1e-6)
    written = network().eval()
    model.write_into(written)
    assert torch.equal(model(IMAGES), written(IMAGES))


def test_the_gradient_is_the_projected_gradient():
    model, plain = wrapped().eval(), network().eval()
    model(IMAGES).square().sum().backward()
    plain(IMAGES).square().sum().backward()
    flat = torch.cat([parameter.grad.flatten() for parameter in plain.parameters()])
    assert torch.allclose(model.w.grad, model.projector.adjoint(flat), atol=1e-5)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["w"]


def test_training_lowers_the_loss_and_changes_neither_theta0_nor_buffers():
    model = wrapped(20).train()
    before = copy.deepcopy(model.network.state_dict())
    optimiser = torch.optim.SGD([model.w], lr=0.05)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = (model(IMAGES) - 1.0).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    model.eval()
    assert (model(IMAGES) - 1.0).square().mean().item() < 0.5 * losses[0]
    assert all(torch.equal(before[name], value) for name, value in model.network.state_dict().items())


def test_dropout_follows_the_mode_and_batch_normalisation_does_not():
    model = wrapped()
    norm, dropout = model.network[1], model.network[4]
    assert (norm.training, dropout.training) == (False, True)
    model.eval()
    assert (norm.training, dropout.training) == (False, False)
    assert torch.equal(model(IMAGES), model(IMAGES))
    model.train()
    assert (norm.training, dropout.training) == (False, True)


def test_only_what_was_trainable_moves_and_shared_tensors_count_once():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    first.bias.requires_grad_(False)
    inner = nn.Sequential(first, second)
    assert trainable_size(inner) == 12
    model = SubspaceNetwork(inner, SparseProjector(5, 12, seed=0))
    with torch.no_grad():
        model.w.fill_(1.0)
    moved = model.parameters_at(model.w)
    assert set(moved) == {"0.weight", "1.bias"}
    x = torch.randn(2, 3)
    hidden = x @ moved["0.weight"].T + first.bias
    assert torch.allclose(model(x), hidden @ moved["0.weight"].T + moved["1.bias"], atol=1e-6)


def test_keywords_and_tuples_pass_through():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x, *, scale):
            return self.layer(x), scale

    model = SubspaceNetwork(Pair(), DenseProjector(2, 6, seed=0))
    output, scale = model(torch.ones(1, 2), scale=3)
    assert output.shape == (1, 2)
    assert scale == 3


def test_a_projector_of_another_size_is_refused():
    with pytest.raises(ValueError, match="expected a projector onto"):
        SubspaceNetwork(network(), DenseProjector(2, 10, seed=0))
