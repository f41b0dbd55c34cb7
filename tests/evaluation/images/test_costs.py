"""Parameters and operations against closed forms."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from certifuse.evaluation.images.scores import forward_costs
from certifuse.models.images.architectures.registry import build_architecture
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.models.images.fusion.registry import build_fusion
from certifuse.study.settings.architectures import ResNetSettings
from certifuse.study.settings.fusion import FUSIONS, FusionModuleSettings


def test_a_convolution_and_a_matrix_product_cost_what_the_formulas_say() -> None:
    convolution = nn.Conv2d(3, 5, kernel_size=3, padding=1, groups=1, bias=True)
    grouped = nn.Conv2d(4, 6, kernel_size=3, stride=2, padding=1, groups=2, bias=False)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 7))
    assert forward_costs(convolution, (3, 8, 8)) == {
        "parameters": 5 * 3 * 9 + 5,
        "forward_flops": 2 * 8 * 8 * 5 * 3 * 9,
    }
    assert forward_costs(grouped, (4, 8, 8)) == {"parameters": 6 * 2 * 9, "forward_flops": 2 * 4 * 4 * 6 * 2 * 9}
    assert forward_costs(linear, (3, 8, 8)) == {"parameters": 192 * 7 + 7, "forward_flops": 2 * 192 * 7}


def test_resnet_18_costs_what_is_published_for_it() -> None:
    """0.56 G multiply-adds for 32 x 32 images (He et al. 2016 give 1.8 G for 224 x 224, with another stem)."""
    network = build_architecture("resnet", ResNetSettings(), 10)
    found = forward_costs(network, (3, 32, 32))
    assert found["parameters"] == 11_173_962
    assert round(found["forward_flops"] / 2 / 1e9, 2) == 0.56


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_fused_network_costs_what_is_counted_while_it_computes(fusion: str) -> None:
    experts = [build_architecture("resnet", ResNetSettings(width=8, blocks=(1,)), 4, 1) for _ in range(2)]
    module = build_fusion(fusion, 2, experts[0].feature_dim, FusionModuleSettings(hidden_dim=12))
    network = FusedNetwork(experts, module, 4).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, 8, 8))
    assert forward_costs(network, (1, 8, 8))["forward_flops"] == counter.get_total_flops() > 0


def test_counting_changes_no_weight_and_no_statistic() -> None:
    network = build_architecture("resnet", ResNetSettings(width=4, blocks=(1,)), 4, 1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    forward_costs(network, (1, 8, 8))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    network.train()(torch.ones(2, 1, 8, 8))
    assert not all(torch.equal(before[name], value) for name, value in network.state_dict().items())
