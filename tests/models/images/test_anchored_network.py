"""A fused network that is the average of its experts until it is trained."""

import pytest
import torch
from torch.nn import functional

from certifuse.models.images.architectures.registry import build_architecture
from certifuse.models.images.fused_network import AnchoredNetwork
from certifuse.models.images.fusion.registry import build_fusion
from certifuse.study.settings.architectures import ResNetSettings
from certifuse.study.settings.fusion import FUSIONS, FusionModuleSettings, FusionTraining
from certifuse.training.joint import dual_path_objective

E, N, K = 3, 6, 4


def anchored(fusion: str = "concatenation") -> AnchoredNetwork:
    torch.manual_seed(0)
    experts = [build_architecture("resnet", ResNetSettings(width=4, blocks=(1,)), K, 1) for _ in range(E)]
    module = build_fusion(fusion, E, experts[0].feature_dim, FusionModuleSettings(dropout=0.0))
    return AnchoredNetwork(experts, module, K).eval()


IMAGES = torch.linspace(-2, 2, N * 64).view(N, 1, 8, 8).sin()
TARGETS = functional.one_hot(torch.arange(N) % K, K).float()


def average_in_double(network: AnchoredNetwork) -> torch.Tensor:
    """log of the mean of the experts' probabilities, from their logits alone."""
    logits_ENK = torch.stack([expert(IMAGES)[1] for expert in network.experts]).detach().double()
    return (logits_ENK.exp() / logits_ENK.exp().sum(-1, keepdim=True)).mean(0).log()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_at_theta0_it_is_the_probability_average(fusion):
    network = anchored(fusion)
    output = network(IMAGES)
    torch.testing.assert_close(output.global_logits_NK.double(), average_in_double(network), atol=1e-6, rtol=0)
    assert output.global_logits_NK.exp().sum(1).tolist() == pytest.approx([1.0] * N, abs=1e-5)
    assert output.expert_logits_ENK.shape == (E, N, K)


def step(network: AnchoredNetwork, lam: float) -> dict[str, torch.Tensor]:
    """The gradients of the dual-path loss at weight `lam`, by parameter."""
    network.zero_grad()
    objective = dual_path_objective(lam, FusionTraining(distillation_weight=0.0, label_smoothing=0.0))
    torch.autograd.backward(objective(network(IMAGES), TARGETS)["total"])
    return {name: parameter.grad.clone() for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_step_leaves_the_average(fusion):
    network = anchored(fusion)
    gradients = step(network, lam=0.0)
    assert gradients["global_head.weight"].abs().max() > 0
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter -= 0.1 * gradients[name]
    assert (network(IMAGES).global_logits_NK.double() - average_in_double(network)).abs().max() > 1e-3


def test_both_paths_of_the_loss_reach_the_experts():
    """At a head of zeros the fusion module gets no gradient yet, the experts get that of their average."""
    network = anchored()
    fused, both = step(network, lam=0.0), step(network, lam=2.0)
    for index in range(E):
        assert fused[f"experts.{index}.head.weight"].abs().max() > 0
    assert all(value.abs().max() == 0 for name, value in fused.items() if name.startswith("fusion."))

    network.zero_grad()
    alone = sum(functional.cross_entropy(expert(IMAGES)[1], TARGETS) for expert in network.experts)
    torch.autograd.backward(alone)
    for name, parameter in network.experts.named_parameters():
        expected = fused[f"experts.{name}"] + 2.0 * parameter.grad
        torch.testing.assert_close(both[f"experts.{name}"], expected, atol=1e-6, rtol=1e-4)


def test_the_gradient_of_the_head_is_that_of_a_linear_correction():
    """d loss / d W = sum_n (p_n - t_n) f_n^T / N at W = 0, with f the fused features and p the average."""
    network = anchored()
    gradient = step(network, lam=0.0)["global_head.weight"].double()
    with torch.no_grad():
        features_Nd = network.fusion(network(IMAGES).features_ENd).double()
        expected_Kd = (average_in_double(network).exp() - TARGETS).T @ features_Nd / N
    torch.testing.assert_close(gradient, expected_Kd, atol=1e-6, rtol=1e-4)
