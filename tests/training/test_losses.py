"""Losses against closed forms, and who learns from whom."""

import math

import pytest
import torch

from certifuse.training.losses import cross_entropy, expert_cross_entropies, mutual_distillation


def logits_of(*probabilities):
    return torch.tensor(probabilities).log()


def random_logits(experts=3, images=5, classes=4):
    return torch.randn(experts, images, classes, generator=torch.Generator().manual_seed(0))


def test_cross_entropy_by_hand():
    logits = logits_of([0.5, 0.25, 0.25], [0.1, 0.1, 0.8])
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    expected = (math.log(2) + 0.5 * -math.log(0.1) + 0.5 * -math.log(0.8)) / 2
    assert float(cross_entropy(logits, targets)) == pytest.approx(expected, rel=1e-6)


def test_label_smoothing_moves_mass_to_all_classes_equally():
    logits, targets = logits_of([0.5, 0.25, 0.25]), torch.tensor([[1.0, 0.0, 0.0]])
    smoothed = [0.7 + 0.1, 0.1, 0.1]
    expected = sum(-weight * math.log(p) for weight, p in zip(smoothed, (0.5, 0.25, 0.25), strict=True))
    assert float(cross_entropy(logits, targets, label_smoothing=0.3)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_cross_entropies_of_all_experts_are_those_of_each(smoothing):
    logits, targets = random_logits(), torch.rand(5, 4).softmax(-1)
    expected = torch.stack([cross_entropy(own, targets, smoothing) for own in logits])
    torch.testing.assert_close(expert_cross_entropies(logits, targets, smoothing), expected)


def test_losses_are_fp32_for_bf16_logits():
    logits, targets = random_logits().bfloat16(), torch.full((5, 4), 0.25)
    expected = expert_cross_entropies(logits.float(), targets)
    assert torch.equal(expert_cross_entropies(logits, targets), expected)
    assert torch.equal(cross_entropy(logits[0], targets), cross_entropy(logits[0].float(), targets))
    assert torch.equal(mutual_distillation(logits, 2.0), mutual_distillation(logits.float(), 2.0))


def kl(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("temperature", [1.0, 2.0, 4.0])
def test_distillation_of_two_experts_by_hand(temperature):
    """Two experts teach each other: T^2 / 2 (KL(b || a) + KL(a || b)) with softmaxes at temperature T."""
    logits = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]])
    a, b = ((own / temperature).double().softmax(-1)[0].tolist() for own in logits)
    expected = temperature**2 * (kl(b, a) + kl(a, b)) / 2
    assert float(mutual_distillation(logits, temperature)) == pytest.approx(expected, rel=1e-5)


def test_distillation_of_three_experts_by_hand():
    """The teacher is the mean of the others' probabilities."""
    probabilities = ([0.7, 0.3], [0.2, 0.8], [0.5, 0.5])
    logits = torch.stack([logits_of(p) for p in probabilities])
    teachers = ([0.35, 0.65], [0.6, 0.4], [0.45, 0.55])
    expected = sum(kl(t, p) for t, p in zip(teachers, probabilities, strict=True)) / 3
    assert float(mutual_distillation(logits, 1.0)) == pytest.approx(expected, rel=1e-5)


def test_equal_experts_have_nothing_to_learn():
    logits = random_logits(experts=1).expand(3, -1, -1).clone().requires_grad_()
    loss = mutual_distillation(logits, 2.0)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6)
    assert logits.grad.abs().max() < 1e-6


def test_one_expert_has_nobody_to_learn_from():
    loss = mutual_distillation(random_logits(experts=1), 2.0)
    assert loss.dtype == torch.float32
    assert loss.shape == ()
    assert float(loss) == 0


def test_distillation_teachers_are_detached():
    """The gradient of each expert is T (own - teacher) / (E N): that of a student of fixed teachers."""
    logits, temperature = random_logits().requires_grad_(), 2.0
    mutual_distillation(logits, temperature).backward()
    own = (logits.detach() / temperature).softmax(-1)
    teacher = (own.sum(0) - own) / 2
    torch.testing.assert_close(logits.grad, temperature * (own - teacher) / (3 * 5))


def test_attached_teachers_would_have_another_gradient():
    """Negative control of the test above."""
    logits = random_logits().requires_grad_()
    log_probs = logits.log_softmax(-1)
    teachers = (log_probs.exp().sum(0) - log_probs.exp()) / 2
    torch.nn.functional.kl_div(log_probs, teachers, reduction="none").sum(-1).mean().backward()
    own = logits.detach().softmax(-1)
    assert (logits.grad - (own - (own.sum(0) - own) / 2) / 15).abs().max() > 1e-3
