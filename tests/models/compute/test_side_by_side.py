"""Experts side by side: the numbers of the experts in turn, at the same time, and only where both are possible."""

import threading

import pytest
import torch
from torch import nn
from torch.func import functional_call

from certifuse.models.compute import runtime as runtimes
from certifuse.models.compute.side_by_side import SideBySide, run_side_by_side
from certifuse.models.images.blocks import ImageClassifier
from certifuse.models.images.fused_network import FusedNetwork, in_turn
from certifuse.study.settings.evaluation import ExecutionSettings


def execution(threads, precision="fp32", compile_="off"):
    return ExecutionSettings(threads=threads, device="cpu", precision=precision, compile=compile_)


def trained(make_joint, threads, precision, **changes):
    """Means and weights after two epochs, and whether experts ran side by side."""
    joint = make_joint(execution=execution(threads, precision), **changes)
    means = [joint.trainer.run(epoch) for epoch in range(2)]
    weights = {name: tensor.clone() for name, tensor in joint.weights().items()}
    return means, joint.validate(), weights, isinstance(joint.network.run_experts, SideBySide)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "changes",
    [{"experts": 3}, {"fusion": None}, {"distillation_weight": 0.5, "expert_accumulation_steps": 2}],
    ids=["three experts", "averaging", "distillation and accumulation"],
)
def test_the_numbers_are_those_of_the_experts_in_turn(make_joint, precision, changes):
    *alone, first = trained(make_joint, 1, precision, **changes)
    *together, second = trained(make_joint, 2, precision, **changes)
    assert (first, second) == (False, True)
    assert together[:2] == alone[:2]
    assert all(torch.equal(together[2][name], tensor) for name, tensor in alone[2].items())

    *other, _ = trained(make_joint, 2, precision, seed=1, **changes)
    assert other[0] != alone[0]
    assert not all(torch.equal(other[2][name], tensor) for name, tensor in alone[2].items())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # PyTorch's own, as it loads its compiler
@pytest.mark.skipif(not runtimes.has_compiler(), reason="no C compiler")
def test_compiled_experts_train_likewise_side_by_side(make_joint):
    """To rounding those of eager experts, and to the bit those of a second run."""

    def run(compile_, **changes):
        torch.compiler.reset()
        joint = make_joint(execution=execution(2, compile_=compile_), **changes)
        rows = [joint.train(epoch) | joint.validate() for epoch in range(2)]
        assert isinstance(joint.network.run_experts, SideBySide)
        kept = {name: [row[name] for row in rows] for name in ("train_loss", "val_loss", "path_gradient_cosine")}
        return kept, {name: tensor.clone() for name, tensor in joint.weights().items()}

    (compiled, weights), (again, other_weights), (eager, _) = run("on"), run("on"), run("off")
    assert compiled == again
    assert all(torch.equal(other_weights[name], tensor) for name, tensor in weights.items())
    for name, values in eager.items():
        assert compiled[name] == pytest.approx(values, rel=1e-3, abs=1e-4)
    assert run("off", seed=1)[0]["train_loss"] != pytest.approx(eager["train_loss"], rel=1e-3, abs=1e-4)


class Meeting(nn.Module):
    """Goes on, forward and backward, only when `barrier` was reached by as many threads as it waits for."""

    def __init__(self, barrier):
        super().__init__()
        self.barrier, self.threads = barrier, []
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, images_NCHW):
        self.barrier.wait()
        self.threads.append(torch.get_num_threads())
        maps_NCHW = images_NCHW * self.scale
        if maps_NCHW.requires_grad:
            maps_NCHW.register_hook(self._meet_again)
        return maps_NCHW

    def _meet_again(self, gradient):
        self.barrier.wait()


def network_of_meetings(experts=2, timeout_s=10.0):
    barrier = threading.Barrier(experts, timeout=timeout_s)
    return FusedNetwork([ImageClassifier(Meeting(barrier), 2, 3) for _ in range(experts)], None, 3)


def test_experts_meet_in_both_directions():
    network = network_of_meetings()
    run_side_by_side(network, threads=5)
    network(torch.ones(4, 2, 5, 5)).global_logits_NK.sum().backward()
    assert all(expert.trunk.scale.grad is not None for expert in network.experts)
    assert [expert.trunk.threads for expert in network.experts] == [[2], [2]]  # of the five, one is left over


def test_experts_in_turn_do_not_meet():
    with pytest.raises(threading.BrokenBarrierError):
        network_of_meetings(timeout_s=0.1)(torch.ones(4, 2, 5, 5))


def test_an_error_in_one_expert_reaches_the_caller():
    network = network_of_meetings(timeout_s=0.1)
    run_side_by_side(network, threads=2)
    network.experts[1].trunk.forward = lambda images: images[0]
    with pytest.raises((threading.BrokenBarrierError, IndexError)):
        network(torch.ones(4, 2, 5, 5))


@pytest.mark.parametrize(
    ("threads", "compile_", "training", "expected"),
    [(2, "off", True, True), (1, "off", True, False), (2, "on", True, True), (2, "off", False, False)],
    ids=["side by side", "one thread", "compiled", "evaluation"],
)
def test_where_experts_run_side_by_side(threads, compile_, training, expected):
    network = network_of_meetings()
    for expert in network.experts:
        expert.compile = lambda: None  # takes seconds, and is not what is tested
    runtimes.start(execution(threads, compile_=compile_), training=training).place(network)
    assert isinstance(network.run_experts, SideBySide) == expected
    assert torch.get_num_threads() == (1 if expected else threads)


@pytest.mark.parametrize(("probability", "expected"), [(0.0, True), (0.1, False)])
def test_experts_with_dropout_stay_in_turn(probability, expected):
    experts = [ImageClassifier(nn.Dropout(probability), 2, 3) for _ in range(2)]
    network = FusedNetwork(experts, None, 3)
    run_side_by_side(network, threads=2)
    assert (network.run_experts is not in_turn) == expected


def gradients(network, replaced):
    """Of the parameters, and of the tensors that take the place of some of them."""
    network.zero_grad()
    stand_ins = {name: value.clone().requires_grad_() for name, value in replaced.items()}
    output = functional_call(network, stand_ins, torch.ones(4, 1, 8, 8))
    output.global_logits_NK.square().sum().backward()
    own = {name: parameter.grad for name, parameter in network.named_parameters()}
    return own | {f"in place of {name}": tensor.grad for name, tensor in stand_ins.items()}


def test_frozen_experts_and_tensors_in_place_of_parameters(make_joint):
    """As training in a subspace has them."""
    network = make_joint(fusion=None, experts=3).network
    network.experts[0].requires_grad_(False)
    replaced = {"experts.1.head.weight": network.experts[1].head.weight.detach() * 2}
    expected = gradients(network, replaced)
    network.run_experts = SideBySide(2, 1)
    found = gradients(network, replaced)
    for name, gradient in expected.items():
        if name.startswith("experts.0.") or name in replaced:
            assert found[name] is gradient is None
        else:
            assert torch.equal(found[name], gradient)
