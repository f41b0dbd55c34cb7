"""One epoch: what it visits and returns, that it repeats to the bit, and that it stops at what is not finite."""

import functools
import math
import re

import pytest
import torch

from certifuse.base.errors import UserError
from certifuse.study.settings.evaluation import ExecutionSettings
from certifuse.training.epoch import epoch_batches
from certifuse.training.loop.finite import FiniteWatch, NonFiniteLossError
from certifuse.training.single_values import require_values_to_normalise

BF16 = ExecutionSettings(threads=1, device="cpu", precision="bf16", compile="off")


def weights_of(joint):
    return {name: tensor.clone() for name, tensor in joint.weights().items()}


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("execution", [None, BF16], ids=["fp32", "bf16"])
def test_two_runs_are_equal_to_the_bit_and_another_seed_differs(make_joint, execution):
    runs = []
    for seed in (0, 0, 1):
        joint = make_joint(execution=execution)
        joint.trainer.seed = seed
        runs.append(([joint.trainer.run(epoch) for epoch in range(2)], weights_of(joint)))
    assert runs[0][0] == runs[1][0]
    assert equal(runs[0][1], runs[1][1])
    assert runs[0][0] != runs[2][0]
    assert not equal(runs[0][1], runs[2][1])


def test_draws_are_a_function_of_seed_and_epoch_and_of_nothing_before(make_joint):
    """The second epoch draws the same after a first epoch as without one: what resuming at an epoch relies on."""
    batches = []
    for epochs in ((0, 1), (1,)):
        joint = make_joint(expert_lr=1e-30, fusion_lr=1e-30, dropout=0.5)
        torch.manual_seed(len(epochs))
        seen = []
        objective = joint.trainer.objective

        def recording(output, targets, seen=seen, objective=objective):
            seen.append((output.global_logits_NK.detach().clone(), targets))
            return objective(output, targets)

        joint.trainer.objective = recording
        for epoch in epochs:
            joint.trainer.run(epoch)
        batches.append(seen[-4:])
    for (logits, targets), (other_logits, other_targets) in zip(*batches, strict=True):
        assert torch.equal(logits, other_logits)
        assert torch.equal(targets, other_targets)


@pytest.mark.parametrize(("images", "batches", "visited"), [(72, 4, 64), (64, 4, 64), (16, 1, 16), (10, 1, 10)])
def test_a_last_batch_that_is_not_full_is_left_out_unless_it_is_the_only_one(make_joint, images, batches, visited):
    joint, sizes = make_joint(images=images), []
    objective = joint.trainer.objective
    joint.trainer.objective = lambda output, targets: sizes.append(len(targets)) or objective(output, targets)
    joint.trainer.run(0)
    assert len(sizes) == batches
    assert sum(sizes) == visited == joint.trainer.images_per_epoch


def test_means_are_those_over_the_batches(make_joint):
    joint, seen = make_joint(), []
    objective = joint.trainer.objective

    def recording(output, targets):
        losses = objective(output, targets)
        seen.append({name: float(value.detach()) for name, value in losses.items()})
        return losses

    joint.trainer.objective = recording
    means = joint.trainer.run(0)
    for name in seen[0]:
        assert means[name] == pytest.approx(sum(losses[name] for losses in seen) / 4, rel=1e-12)


def failing_at(joint, step, spoil):
    """Let `spoil` change the losses of one step; returns what the weights were when that step came."""
    calls, before = [], {}
    objective = joint.trainer.objective

    def spoiling(output, targets):
        losses = dict(objective(output, targets))
        calls.append(1)
        if len(calls) == step:
            names = dict(joint.network.named_parameters())
            before.update({name: parameter.detach().clone() for name, parameter in names.items()})
            losses["total"] = spoil(losses["total"], output)
        return losses

    joint.trainer.objective = spoiling
    return before


def unchanged(joint, before):
    return all(torch.equal(parameter.detach(), before[name]) for name, parameter in joint.network.named_parameters())


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("step", [1, 3])
def test_a_loss_that_is_not_finite_stops_before_the_update(make_joint, step, bad):
    joint = make_joint(seed=7, expert_accumulation_steps=1)
    before = failing_at(joint, step, lambda total, output: total * bad)
    with pytest.raises(NonFiniteLossError, match=rf"the loss is not finite in epoch 6, step {step} \(seed 7\): lower"):
        joint.trainer.run(5)
    assert unchanged(joint, before)


def test_a_gradient_that_is_not_finite_stops_before_the_update(make_joint):
    """The root of zero has the value 0 and an infinite slope."""
    joint = make_joint(seed=7, expert_accumulation_steps=1)
    before = failing_at(joint, 2, lambda total, output: total + (output.features_ENd * 0).abs().sum().sqrt())
    with pytest.raises(NonFiniteLossError, match=r"the experts gradient is not finite in epoch 1, step 2 \(seed 7\)"):
        joint.trainer.run(0)
    assert all(
        torch.equal(parameter.detach(), before[f"experts.{name}"])
        for name, parameter in joint.network.experts.named_parameters()
    )


def test_the_message_is_enough_to_find_the_batch(make_joint):
    joint, targets_seen = make_joint(seed=7, augmentation={"crop_padding": 0, "flip": False}), []
    objective = joint.trainer.objective

    def failing(output, targets):
        targets_seen.append(targets.argmax(1))
        return {"total": objective(output, targets)["total"] * (math.nan if len(targets_seen) == 3 else 1)}

    joint.trainer.objective = failing
    with pytest.raises(NonFiniteLossError) as caught:
        joint.trainer.run(1)
    epoch, step, seed = map(int, re.search(r"epoch (\d+), step (\d+) \(seed (\d+)\)", str(caught.value)).groups())
    batch = list(epoch_batches(joint.trainer.indices, 16, seed, epoch - 1, "cpu", drop_last=True))[step - 1]
    assert torch.equal(joint.trainer.data.labels[batch], targets_seen[-1])


def test_a_gpu_is_asked_at_the_end_of_an_epoch_and_the_first_step_is_named():
    watch = FiniteWatch(
        torch.device("cuda"), torch.nn.Identity(), lambda step: {"epoch": 5, "step": step + 1, "seed": 7}
    )
    watch.watch(0, "loss", torch.tensor(1.0))
    watch.require()
    watch.watch(1, "loss", torch.tensor(math.nan))
    watch.watch(2, "loss", torch.tensor(math.nan))
    with pytest.raises(NonFiniteLossError, match=r"the loss is not finite in epoch 5, step 2 \(seed 7\)"):
        watch.require()


def test_it_is_a_users_error():
    """A run that diverges ends in one line and a status, not in a traceback."""
    assert issubclass(NonFiniteLossError, UserError)


# ---- the recipe ----------------------------------------------------------------------------------


def seen_by(joint):
    """The images of every step from now on."""
    batches, forward = [], joint.network.forward
    joint.network.forward = lambda images: batches.append(images) or forward(images)
    return batches


def test_images_have_the_scheduled_size_at_every_step(make_joint):
    joint = make_joint(images=64, epochs=4, image_sizes=[[0.25, 4], [0.6, 6]])
    batches = seen_by(joint)
    for epoch in range(4):
        joint.trainer.run(epoch)
    assert [images.shape[2] for images in batches] == [4] * 4 + [6] * 6 + [8] * 6  # 4 steps an epoch, 60 % are 9.6
    assert {images.shape[2] == images.shape[3] for images in batches} == {True}


def test_alternating_flips_show_each_image_from_both_sides_in_any_two_epochs(make_joint):
    sides = []
    joint = make_joint(images=64, expert_lr=1e-30, augmentation={"crop_padding": 0, "flip": "alternating"})
    originals = joint.trainer.data.batch(torch.arange(64))
    batches = seen_by(joint)
    for epoch in range(3):
        batches.clear()
        joint.trainer.run(epoch)
        shown = torch.cat(batches)
        as_it_is = (shown[:, None] == originals).flatten(2).all(2)
        mirrored = (shown[:, None] == originals.flip(3)).flatten(2).all(2)
        assert ((as_it_is | mirrored).sum(0) == 1).all()
        sides.append(as_it_is.any(0))
    assert torch.equal(sides[1], ~sides[0])
    assert torch.equal(sides[2], sides[0])
    assert 0 < int(sides[0].sum()) < 64


def test_frozen_scales_stay_and_the_rest_of_the_norms_is_trained(make_joint):
    joint = make_joint(train_norm_scales=False, batch_norm_momentum=0.5)
    norms = [module for module in joint.network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    joint.trainer.run(0)
    assert all(torch.equal(norm.weight, torch.ones_like(norm.weight)) for norm in norms)
    assert all(norm.bias.abs().sum() > 0 for norm in norms)
    assert joint.train(1)["path_gradient_cosine"] != 0


def test_the_average_is_that_of_the_weights_after_every_step(make_joint):
    """By hand; it is what is validated and stored, and training goes on from the weights themselves."""
    joint, plain = make_joint(images=48, weight_average_decay=0.75), make_joint(images=48)
    expected, after_backward = {}, joint.trainer.groups[-1].after_backward

    def averaging(epoch, last):
        norm = after_backward(epoch, last)  # the last group of a step
        for name, tensor in joint.network.state_dict().items():
            if tensor.is_floating_point():
                expected[name] = 0.75 * expected.get(name, tensor) + 0.25 * tensor
        return norm

    joint.trainer.groups[-1].after_backward = averaging
    assert joint.trainer.run(0) == plain.trainer.run(0)
    found = joint.trainer.average.network.state_dict()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=name)
    stored = joint.component_states()["expert_1"]["head.weight"]
    assert torch.equal(stored, found["experts.1.head.weight"])
    assert not torch.equal(stored, joint.network.state_dict()["experts.1.head.weight"])
    assert joint.validate() != plain.validate()


def test_experts_side_by_side_have_an_average_too(make_joint):
    execution = ExecutionSettings(threads=2, device="cpu", precision="fp32", compile="off")
    joint = make_joint(execution=execution, weight_average_decay=0.5)
    joint.trainer.run(0)
    assert joint.trainer.average.network.run_experts is joint.network.run_experts
    assert 0 <= joint.validate()["val_accuracy"] <= 100


@pytest.mark.parametrize(("images", "batch_size"), [(72, 1), (1, 16)])
def test_batches_of_one_image_are_refused_where_maps_shrink_to_one_value(make_joint, images, batch_size):
    """Images of 8 x 8, halved once and three times; PyTorch would refuse in the middle of the first step."""
    make = functools.partial(make_joint, images=images, batch_size=batch_size)
    make(blocks=(1, 1))
    with pytest.raises(UserError, match=r"^batch_size: expected batches of at least 2 images, since .* 8x8 .*, found"):
        make(blocks=(1, 1, 1, 1))


def test_looking_at_one_image_changes_nothing(make_joint):
    joint = make_joint(images=72, blocks=(1, 1))
    before, drawn = weights_of(joint), torch.get_rng_state()
    image = joint.trainer.data.batch(torch.tensor([0]))
    require_values_to_normalise(joint.network, image, 72, 1)
    assert equal(before, joint.weights())
    assert torch.equal(drawn, torch.get_rng_state())
    assert not any(module._forward_pre_hooks for module in joint.network.modules())
