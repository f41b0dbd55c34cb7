"""The fused network: by value, its averaging baseline, its components, its refusals, compilation, determinism."""

import numpy as np
import pytest
import torch
from torch import nn

from certifuse.base.errors import UserError
from certifuse.models.images.architectures.registry import build_architecture
from certifuse.models.images.blocks import ImageClassifier
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.models.images.fusion.registry import build_fusion
from certifuse.study.settings.architectures import ResNetSettings
from certifuse.study.settings.fusion import FUSIONS, FusionModuleSettings

torch.set_num_threads(1)

CLASSES = 5


def expert(width=4, num_classes=CLASSES):
    return build_architecture("resnet", ResNetSettings(width=width, blocks=(1, 1)), num_classes)


def network_of(fusion="multiplicativeAddition", experts=3, input_dim=None):
    torch.manual_seed(0)
    members = [expert() for _ in range(experts)]
    settings = FusionModuleSettings(input_dim=input_dim)
    module = None if fusion is None else build_fusion(fusion, experts, members[0].feature_dim, settings)
    return FusedNetwork(members, module, CLASSES)


def some_images():
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_fused_output_is_head_of_fusion_of_experts(fusion):
    network, images = network_of(fusion).eval(), some_images()
    output = network(images)
    for index, member in enumerate(network.experts):
        features, logits = member(images)
        assert torch.equal(output.features_ENd[index], features)
        assert torch.equal(output.expert_logits_ENK[index], logits)
    assert output.features_ENd.shape == (3, 4, network.feature_dim)
    expected_NK = network.global_head(network.fusion(output.features_ENd))
    if network.adds_to_average:
        expected_NK = output.expert_logits_ENK.softmax(-1).mean(0).log() + expected_NK
    torch.testing.assert_close(output.global_logits_NK, expected_NK)


@pytest.mark.parametrize("input_dim", [None, 4])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_rules_that_add_to_the_average_start_at_it_and_leave_it(fusion, input_dim):
    network = network_of(fusion, input_dim=input_dim)
    added = fusion.startswith("averagePlus")
    average_NK = network.eval()(some_images()).expert_logits_ENK.softmax(-1).mean(0).log()
    at_start = torch.allclose(network(some_images()).global_logits_NK, average_NK, atol=1e-6)
    assert at_start == added
    loss = torch.nn.functional.cross_entropy(network(some_images()).global_logits_NK, torch.arange(4))
    loss.backward()
    assert network.global_head.weight.grad.abs().sum() > 0
    trained = [member.head.weight.grad is not None for member in network.experts]
    assert trained == [added] * len(trained), "only through the average does the global loss reach the experts' heads"


def test_average_by_value():
    network = network_of(None).eval()
    output = network(some_images())
    logits = output.expert_logits_ENK.detach().double().numpy()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = np.log(probabilities.mean(axis=0))
    np.testing.assert_allclose(output.global_logits_NK.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_average_is_stable_for_certain_experts():
    """Two experts that are certain of different classes: half the mass each, although both softmaxes underflow."""
    experts = [ImageClassifier(nn.Identity(), feature_dim=1, num_classes=2) for _ in range(2)]
    for member, sign in zip(experts, (1, -1), strict=True):
        nn.init.constant_(member.head.weight, 0)
        member.head.bias.data = torch.tensor([1e4 * sign, -1e4 * sign])
    network = FusedNetwork(experts, None, 2)
    expected = torch.full((1, 2), 0.5).log()
    torch.testing.assert_close(network(torch.zeros(1, 1, 2, 2)).global_logits_NK, expected)


def test_average_is_in_fp32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        output = network_of(None).eval()(some_images())
    assert output.expert_logits_ENK.dtype == torch.bfloat16
    assert output.global_logits_NK.dtype == torch.float32
    torch.testing.assert_close(output.global_logits_NK.exp().sum(-1), torch.ones(4), rtol=1e-5, atol=0)


def test_average_of_one_expert_is_its_softmax():
    output = network_of(None, experts=1).eval()(some_images())
    torch.testing.assert_close(output.global_logits_NK, output.expert_logits_ENK[0].log_softmax(-1))


def test_components_hold_every_tensor_once():
    network = network_of()
    parts = network.component_modules()
    assert list(parts) == ["expert_0", "expert_1", "expert_2", "fusion", "global_head"]
    of_parts = [id(tensor) for part in parts.values() for tensor in part.state_dict(keep_vars=True).values()]
    assert sorted(of_parts) == sorted(id(tensor) for tensor in network.state_dict(keep_vars=True).values())


def test_averaging_baseline_has_experts_only():
    network = network_of(None)
    assert list(network.component_modules()) == ["expert_0", "expert_1", "expert_2"]
    assert all(key.startswith("experts.") for key in network.state_dict())


@pytest.mark.parametrize(
    ("odd", "shape"), [({"width": 6}, r"\(8, 5\), found \(12, 5\)"), ({"num_classes": 7}, r"\(8, 5\), found \(8, 7\)")]
)
def test_experts_that_differ_are_refused_with_both_shapes(odd, shape):
    with pytest.raises(UserError, match=rf"expert 1: expected .* {shape}"):
        FusedNetwork([expert(), expert(**odd)], None, CLASSES)


def test_experts_of_other_classes_than_the_head_are_refused():
    with pytest.raises(UserError, match=r"expert 0: expected .* \(8, 6\), found \(8, 5\)"):
        FusedNetwork([expert()], None, 6)


@pytest.mark.parametrize(("experts", "size"), [(1, 8), (2, 9)])
def test_fusion_module_that_does_not_fit_is_refused_with_both_shapes(experts, size):
    fusion = build_fusion("multiplicative", experts, size, FusionModuleSettings())
    with pytest.raises(UserError, match=rf"\(2, 8\), found \({experts}, {size}\)"):
        FusedNetwork([expert(), expert()], fusion, CLASSES)


@pytest.mark.parametrize("fusion", [fusion for fusion in FUSIONS if not fusion.startswith("averagePlus")])
def test_global_loss_alone_trains_fusion_head_and_trunks_but_not_expert_heads(fusion):
    network = network_of(fusion)
    targets = torch.arange(4)
    nn.functional.cross_entropy(network(some_images()).global_logits_NK, targets).backward()
    for key, parameter in network.named_parameters():
        is_expert_head = key.startswith("experts.") and ".head." in key
        assert (parameter.grad is None) == is_expert_head, key
        assert is_expert_head or parameter.grad.abs().sum() > 0, key


def one_step(network, precision):
    network.zero_grad(set_to_none=True)
    torch.manual_seed(7)
    images = some_images().to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        output = network(images)
        loss = sum(tensor.float().square().mean() for tensor in output)
    loss.backward()
    return [parameter.grad.clone() for parameter in network.parameters()]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("fusion", ["TransformerBase", "multiplicativeShifted"])
def test_a_step_repeats_bit_for_bit(fusion, precision):
    network = network_of(fusion).to(memory_format=torch.channels_last)
    first, second = one_step(network, precision), one_step(network, precision)
    assert all(torch.equal(a, b) and a.isfinite().all() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("fusion", ["TransformerBase", "multiplicativeAddition", None])
def test_compiles_to_one_graph(fusion):
    network, images = network_of(fusion, experts=2).eval(), some_images()
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    for found, expected in zip(compiled(images), network(images), strict=True):
        torch.testing.assert_close(found, expected)
