"""The cosine of the gradients of both losses, against gradients by hand and against its limits."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from certifuse.models.compute import runtime as runtimes
from certifuse.models.images.fused_network import FusedNetwork
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.training.path_gradients import path_gradient_cosine

CPU = ExecutionSettings(threads=1, device="cpu", precision="fp32", channels_last="off", compile="off")


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    images_NCHW = torch.randn(6, 1, 8, 8, generator=generator)
    return images_NCHW, functional.one_hot(torch.arange(6) % 4, 4).float()


def by_hand(network: FusedNetwork, images_NCHW: torch.Tensor, targets_NK: torch.Tensor) -> float:
    """Two passes with `backward`, the gradients read from the parameters."""
    sides = []
    for path in ("global", "individual"):
        network.zero_grad()
        output = network.eval()(images_NCHW)
        losses = [functional.cross_entropy(logits, targets_NK) for logits in output.expert_logits_ENK]
        loss = functional.cross_entropy(output.global_logits_NK, targets_NK) if path == "global" else sum(losses)
        loss.backward()
        named = [(name, parameter.grad) for name, parameter in network.experts.named_parameters()]
        sides.append(torch.cat([gradient.flatten() for name, gradient in named if "head." not in name]))
    return float(sides[0] @ sides[1] / sides[0].norm() / sides[1].norm())


def test_it_is_the_cosine_of_the_two_gradients(make_joint: Any, batch: Any) -> None:
    network = make_joint("concatenation").network
    found = path_gradient_cosine(network, *batch, 0.0, runtimes.start(CPU))
    assert found == pytest.approx(by_hand(network, *batch), abs=1e-6)
    assert -0.99 < found < 0.99


class FirstExpert(nn.Module):
    """Fuses by handing on the features of the first expert."""

    adds_to_average = False

    def __init__(self, experts: int, feature_dim: int) -> None:
        super().__init__()
        self.experts, self.feature_dim, self.output_dim = experts, feature_dim, feature_dim

    def forward(self, features_ENd: torch.Tensor) -> torch.Tensor:
        return features_ENd[0]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_equal_paths_agree_and_opposite_ones_conflict(make_joint: Any, batch: Any, sign: float) -> None:
    """The global head has the weights of the expert's own, or their negative; so have the gradients near uniformity."""
    expert = make_joint("concatenation", experts=1).network.experts[0]
    fusion: Any = FirstExpert(1, expert.feature_dim)
    network: Any = FusedNetwork([expert], fusion, 4)
    with torch.no_grad():
        expert.head.weight.mul_(1e-3)
        network.global_head.weight.copy_(sign * expert.head.weight)
        for head in (expert.head, network.global_head):
            head.bias.zero_()
    assert path_gradient_cosine(network, *batch, 0.0, runtimes.start(CPU)) == pytest.approx(sign, abs=1e-3)


def test_measuring_changes_no_weight_and_the_log_has_it(make_joint: Any) -> None:
    joint = make_joint("simpleAddition")
    before = {name: value.clone() for name, value in joint.weights().items()}
    runtime = joint.trainer.runtime
    images_NCHW = joint.trainer.data.batch(joint.trainer.indices[:8])
    targets_NK = functional.one_hot(joint.trainer.data.labels[joint.trainer.indices[:8]], 4).float()
    path_gradient_cosine(joint.network, images_NCHW, targets_NK, 0.1, runtime)
    assert all(torch.equal(before[name], value) for name, value in joint.weights().items())
    assert all(parameter.grad is None for parameter in joint.network.parameters())
    assert -1 <= joint.train(0)["path_gradient_cosine"] <= 1
    assert "path_gradient_cosine" not in make_joint(None).train(0)


def test_it_is_the_same_whether_experts_run_side_by_side(make_joint: Any) -> None:
    rows = [
        make_joint("concatenation", execution=CPU.model_copy(update={"threads": threads})).train(0)
        for threads in (1, 2)
    ]
    assert rows[0]["path_gradient_cosine"] == rows[1]["path_gradient_cosine"]
