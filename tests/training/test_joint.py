"""The dual-path loss: its parts add up, it reaches every expert, and each group trains by its own rules."""

import pytest
import torch

from certifuse.training.joint import parameter_groups
from certifuse.training.losses import cross_entropy, mutual_distillation
from certifuse.training.schedules import learning_rate

FREE = {"weight_decay": 0.0, "distillation_weight": 0.0}
"""Without anything that moves weights but the two cross-entropies."""


def parameters_of(joint):
    return {name: parameter.detach().clone() for name, parameter in joint.network.named_parameters()}


def moved(joint, before):
    return {
        name for name, parameter in joint.network.named_parameters() if not torch.equal(parameter.data, before[name])
    }


@pytest.mark.parametrize("lam", [0.0, 0.1, 1.0, 5.0])
@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_the_logged_losses_add_up(make_joint, lam, weight):
    row = make_joint(lam=lam, distillation_weight=weight).train(0)
    parts = row["loss_global"] + lam * row["loss_individual"] + weight * row["loss_distillation"]
    assert row["loss_total"] == pytest.approx(parts, rel=1e-6)
    assert row["train_loss"] == row["loss_total"]
    assert row["loss_individual"] == pytest.approx(row["expert_0_loss"] + row["expert_1_loss"], rel=1e-6)
    assert (row["loss_distillation"] > 0) == (weight > 0)


def test_without_fusion_the_total_is_individual_and_distillation(make_joint):
    row = make_joint(fusion=None, distillation_weight=0.3).train(0)
    assert row["loss_total"] == pytest.approx(row["loss_individual"] + 0.3 * row["loss_distillation"], rel=1e-6)
    assert "fusion_lr" not in row


def test_the_objective_by_value(make_joint):
    joint = make_joint(lam=0.7, distillation_weight=0.2, distillation_temperature=3.0, label_smoothing=0.1)
    images = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    targets = torch.eye(4)[torch.arange(6) % 4]
    output = joint.network.eval()(images)
    losses = joint.trainer.objective(output, targets)
    experts = [cross_entropy(logits, targets, 0.1) for logits in output.expert_logits_ENK]
    distillation = mutual_distillation(output.expert_logits_ENK, 3.0)
    expected = cross_entropy(output.global_logits_NK, targets, 0.1) + 0.7 * sum(experts) + 0.2 * distillation
    torch.testing.assert_close(losses["total"], expected)
    torch.testing.assert_close(losses["expert_1"], experts[1])


@pytest.mark.parametrize("fusion", ["concatenation", "multiplicative", "TransformerBase"])
def test_no_expert_is_frozen(make_joint, fusion):
    joint = make_joint(fusion, lam=1.0, **FREE)
    before = parameters_of(joint)
    joint.train(0)
    assert moved(joint, before) == set(before)


@pytest.mark.parametrize("fusion", ["concatenation", "multiplicative", "TransformerBase"])
def test_at_lambda_zero_experts_move_through_the_fusion_and_their_own_heads_rest(make_joint, fusion):
    joint = make_joint(fusion, lam=0.0, **FREE)
    before = parameters_of(joint)
    joint.train(0)
    heads = {name for name in before if name.startswith("experts.") and ".head." in name}
    assert len(heads) == 4
    assert moved(joint, before) == set(before) - heads


def test_distillation_alone_moves_the_heads_at_lambda_zero(make_joint):
    joint = make_joint(lam=0.0, weight_decay=0.0, distillation_weight=0.1)
    before = parameters_of(joint)
    joint.train(0)
    assert moved(joint, before) == set(before)


def first_gradients(joint):
    images, labels = joint.trainer.data.batch(torch.arange(16)), joint.trainer.data.labels[:16]
    losses = joint.trainer.objective(joint.network.eval()(images), torch.eye(4)[labels])
    return torch.autograd.grad(losses["total"], list(joint.network.parameters()), allow_unused=True)


@pytest.mark.parametrize("lam", [0.1, 5.0])
def test_gradients_are_linear_in_lambda(make_joint, lam):
    path, both, scaled = (first_gradients(make_joint(lam=weight, **FREE)) for weight in (0.0, 1.0, lam))
    for at_zero, at_one, at_lam in zip(path, both, scaled, strict=True):
        torch.testing.assert_close(at_lam, at_zero + lam * (at_one - at_zero), rtol=1e-4, atol=1e-5)


def test_expert_accumulation_takes_the_mean_gradient_of_its_batches(make_joint):
    """With two batches per step of the experts, their gradient norm is that of the mean over both batches."""
    alone = make_joint(images=32, expert_accumulation_steps=1, expert_lr=1e-30, fusion_lr=1e-30)
    gradients = []
    group = alone.trainer.groups[0]
    step = group.after_backward

    def recording(epoch, last):
        gradients.append([parameter.grad.clone() for parameter in group.parameters])
        return step(epoch, last)

    group.after_backward = recording
    alone.trainer.run(0)
    mean = [torch.stack(pair).mean(0) for pair in zip(*gradients, strict=True)]
    expected = float(torch.cat([gradient.flatten() for gradient in mean]).norm())

    together = make_joint(images=32, expert_accumulation_steps=2, expert_lr=1e-30, fusion_lr=1e-30)
    assert together.trainer.run(0)["experts_gradient_norm"] == pytest.approx(expected, rel=1e-5)


def test_groups_have_their_own_rates_schedules_clipping_and_accumulation(make_joint):
    joint = make_joint(
        epochs=8,
        expert_lr=1e-4,
        fusion_lr=1e-3,
        dimension_adaptive_lr=True,
        expert_clip_norm=5.0,
        fusion_clip_norm=1.0,
        expert_accumulation_steps=3,
        min_lr_fraction=0.1,
    )
    experts, fusion, head = joint.trainer.groups
    assert [group.name for group in joint.trainer.groups] == ["experts", "fusion", "global_head"]
    assert (experts.base_lr, fusion.base_lr, head.base_lr) == pytest.approx((1.3e-4, 1.2e-3, 1.2e-3))  # 8 features
    assert (experts.clip_norm, fusion.clip_norm, head.clip_norm) == (5.0, 1.0, 1.0)
    assert (experts.accumulation_steps, fusion.accumulation_steps, head.accumulation_steps) == (3, 1, 1)
    for epoch in (0, 1.5, 3, 7):
        expected = learning_rate("cosine_warm_restarts", 1.3e-4, 1.3e-5, epoch, 8)
        assert experts.lr(epoch) == pytest.approx(expected, rel=1e-9)
        expected = learning_rate("cosine", 1.2e-3, 1.2e-4, epoch, 8)
        assert (fusion.lr(epoch), head.lr(epoch)) == pytest.approx((expected, expected), rel=1e-9)


def test_groups_hold_every_parameter_once(make_joint):
    joint = make_joint("multiplicativeAddition", input_dim=6)
    held = [id(parameter) for group in joint.trainer.groups for parameter in group.parameters]
    assert sorted(held) == sorted(map(id, joint.network.parameters()))


@pytest.mark.parametrize("key", ["epochs", "expert_lr", "fusion_lr"])
def test_unresolved_settings_are_refused(make_joint, tiny, key):
    training = tiny.fusion_step().training.model_copy(update={key: None})
    with pytest.raises(ValueError, match="expected resolved settings"):
        parameter_groups(make_joint().network, training)


def test_validation_loss_excludes_lambda(make_joint):
    rows = [make_joint(lam=lam).validate() for lam in (0.1, 5.0)]
    assert rows[0] == rows[1]


def test_validation_changes_nothing(make_joint):
    joint = make_joint()
    before = {name: tensor.clone() for name, tensor in joint.weights().items()}
    joint.validate()
    assert all(torch.equal(tensor, before[name]) for name, tensor in joint.weights().items())


def test_state_is_put_back_exactly(make_joint):
    first, second = make_joint(), make_joint(seed=1)
    first.train(0)
    second.restore({name: tensor.clone().contiguous() for name, tensor in first.state().items()})
    assert {name: tensor.tolist() for name, tensor in second.state().items()} == {
        name: tensor.tolist() for name, tensor in first.state().items()
    }


def test_component_states_are_the_components(make_joint):
    joint = make_joint()
    states = joint.component_states()
    for part, module in joint.network.component_modules().items():
        assert states[part].keys() == module.state_dict().keys()
        assert all(torch.equal(states[part][name], tensor) for name, tensor in module.state_dict().items())
