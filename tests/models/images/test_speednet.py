"""speednet: identity at the start, whitening that comes from the pool once and is then a part of the state."""

import pytest
import torch
from safetensors.torch import save
from torch import nn

from certifuse.base.randomness import initialising
from certifuse.data.images.image_set import channel_statistics
from certifuse.models.components.assembly import expert_spec, load_network
from certifuse.models.components.files import save_component
from certifuse.models.images.architectures.registry import build_architecture
from certifuse.models.images.architectures.speednet import start_as_identity
from certifuse.models.images.fused_network import AnchoredNetwork, FusedNetwork
from certifuse.models.images.fusion.registry import build_fusion
from certifuse.models.images.whitening import whitening_filters
from certifuse.models.subspace.projectors import PROJECTORS
from certifuse.models.subspace.reparametrisation import SubspaceNetwork, trainable_size
from certifuse.study.settings.architectures import SpeedNetSettings
from certifuse.study.settings.fusion import FusionModuleSettings
from certifuse.study.settings.recipe import MuonSettings, Recipe
from certifuse.training.batch_norm import set_batch_norms
from certifuse.training.losses import cross_entropy
from certifuse.training.muon import Muon
from certifuse.training.optimisation import by_kind

SETTINGS = SpeedNetSettings(widths=(8, 12, 16))
FILTERS = "trunk.whitening.filters"


def pixels(seed=0):
    return torch.randint(256, (40, 3, 16, 16), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def images():
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def speednet(pool=None):
    with initialising(0, "speednet"):
        network = build_architecture("speednet", SETTINGS, 5)
    if pool is not None:
        network.fit_to_pool(pool, *channel_statistics(pool))
    return network


# ---- the start -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("in_channels", "out_channels", "size"), [(6, 6, 3), (6, 9, 3), (6, 9, 1), (4, 4, 5)])
def test_a_convolution_passes_its_inputs_through_at_the_start(in_channels, out_channels, size):
    layer = nn.Conv2d(in_channels, out_channels, size, padding=size // 2, bias=False)
    torch.manual_seed(0)
    start_as_identity(layer)
    x = torch.randn(2, in_channels, 7, 7)
    y = layer(x).detach()
    assert torch.equal(y[:, :in_channels], x)
    assert all(float(others.std()) > 0.05 for others in y[:, in_channels:].unbind(1))  # those start at random


def test_every_convolution_starts_as_the_identity():
    for layer in (layer for layer in speednet().modules() if isinstance(layer, nn.Conv2d)):
        passed = layer.weight[: layer.in_channels]
        assert torch.equal(passed, nn.init.dirac_(torch.empty_like(passed)))


# ---- the whitening -------------------------------------------------------------------------------


def test_without_its_pool_it_says_nothing():
    """No result can come from a network that was never shown the pool: not a default, and not random filters."""
    assert speednet().eval()(images()).logits_NK.isnan().all()
    assert speednet(pixels()).eval()(images()).logits_NK.isfinite().all()


def test_the_whitening_is_that_of_the_pool_and_its_negative():
    filters = speednet(pixels()).state_dict()[FILTERS]
    expected = whitening_filters(pixels(), *channel_statistics(pixels()))
    assert torch.equal(filters, torch.cat([expected, -expected]))
    assert not torch.equal(filters, speednet(pixels(seed=1)).state_dict()[FILTERS])


def test_no_gradient_and_no_optimiser_reaches_the_whitening():
    network = speednet(pixels())
    before = network.state_dict()[FILTERS].clone()
    optimiser = torch.optim.SGD(network.parameters(), lr=1.0, weight_decay=0.1)
    network(images()).logits_NK.sum().backward()
    optimiser.step()
    assert torch.equal(network.state_dict()[FILTERS], before)
    assert FILTERS not in dict(network.named_parameters())


def test_what_is_loaded_needs_no_images(tmp_path):
    """The statistics are in the component and under its seal: a fused network takes them from its experts."""
    network = speednet(pixels()).eval()
    spec = expert_spec({"name": "speednet", **SETTINGS.plain()}, 5, 3)
    path = tmp_path / "expert.safetensors"
    save_component(path, spec, network.state_dict())
    loaded = load_network([path, path], None, None).eval()
    assert torch.equal(loaded.experts[1](images()).logits_NK, network(images()).logits_NK)
    fused = FusedNetwork(list(loaded.experts), build_fusion("concatenation", 2, 16, FusionModuleSettings()), 5).eval()
    assert fused(images()).global_logits_NK.isfinite().all()
    assert torch.equal(fused.component_modules()["expert_0"].state_dict()[FILTERS], network.state_dict()[FILTERS])
    other = save({name: -tensor if name == FILTERS else tensor for name, tensor in network.state_dict().items()})
    assert other != save(network.state_dict())


def test_in_a_subspace_the_whitening_belongs_to_the_prior():
    members = [speednet(pixels()) for _ in range(2)]
    network = AnchoredNetwork(members, build_fusion("concatenation", 2, 16, FusionModuleSettings()), 5).eval()
    size = trainable_size(network)
    expected = network(images()).global_logits_NK
    subspace = SubspaceNetwork(network, PROJECTORS["kronecker"](4, size, 0, torch.device("cpu"))).eval()
    torch.testing.assert_close(subspace(images()).global_logits_NK, expected)
    assert not [name for name in subspace.parameters_at(subspace.w) if FILTERS in name]
    subspace.w.data.fill_(0.1)
    assert not torch.allclose(subspace(images()).global_logits_NK, expected)


# ---- training ------------------------------------------------------------------------------------


def test_kinds_of_parameters_and_frozen_scales():
    network = speednet()
    kinds = by_kind(network)
    filters = [layer.weight for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert [id(parameter) for parameter, groups in kinds.matrices if groups == 1] == list(map(id, filters))
    assert list(map(id, kinds.heads)) == list(map(id, network.head.parameters()))
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(kinds.others) == 1 + 2 * len(norms)  # the whitening's bias, scales and shifts
    set_batch_norms(network, Recipe(train_norm_scales=False, batch_norm_momentum=0.4))
    assert len(by_kind(network).others) == 1 + len(norms)
    assert {norm.momentum for norm in norms} == {0.4}


def test_a_whole_training_step_runs_on_shapes_alone():
    """On the device `meta`, for which nothing computes: a tensor that is left on the CPU, or is read, fails here."""
    with torch.device("meta"):
        network = build_architecture("speednet", SpeedNetSettings(), 100)
        batch, targets = torch.empty(8, 3, 20, 20), torch.empty(8, 100)
    network.train().to(memory_format=torch.channels_last)
    kinds = by_kind(network)
    settings = MuonSettings(normalise_filters=True)
    muon = Muon(
        kinds.matrices,
        momentum=settings.momentum,
        weight_decay=0.1,
        steps=settings.steps,
        normalise=settings.normalise_filters,
        dtype=torch.bfloat16,
    )
    others = torch.optim.SGD([*kinds.heads, *kinds.others], lr=0.1, momentum=0.9)
    with torch.autocast("cpu", torch.bfloat16):
        features, logits = network(batch.contiguous(memory_format=torch.channels_last))
    assert (features.shape, logits.shape) == ((8, 512), (8, 100))
    loss = cross_entropy(logits, targets, 0.2)
    loss.backward()
    shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
    assert all(parameter.grad.shape == shapes[name] for name, parameter in network.named_parameters())
    muon.step()
    others.step()
    assert loss.is_meta
    assert {state["momentum_buffer"].is_meta for state in muon.state.values()} == {True}
