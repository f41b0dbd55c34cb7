"""Accuracy and likelihood by hand, and forward passes in batches."""

import math

import pytest
import torch

from certifuse.models.compute.inference import accuracy_percent, fused_logits_of, logits_of, nll_nats


def test_accuracy_and_likelihood_by_hand():
    first = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]).log()
    second = torch.tensor([[0.2, 0.7, 0.1], [0.6, 0.3, 0.1]]).log()
    labels = torch.tensor([0, 2])
    logits = torch.stack([first, second]) + 3  # logits have no absolute level
    assert accuracy_percent(logits, labels).tolist() == [100, 0]
    expected = [-(math.log(0.5) + math.log(0.8)) / 2, -(math.log(0.2) + math.log(0.1)) / 2]
    assert nll_nats(logits, labels).tolist() == pytest.approx(expected, rel=1e-6)


def test_batches_do_not_show_in_the_logits(make_joint):
    joint = make_joint()
    trainer, chosen = joint.trainer, torch.tensor([5, 3, 100, 7, 9])
    whole, experts = fused_logits_of(joint.network, trainer.data, chosen, trainer.runtime)
    parts, expert_parts = fused_logits_of(joint.network, trainer.data, chosen, trainer.runtime, batch_size=2)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(expert_parts, experts)
    alone = logits_of(joint.network.experts[1], trainer.data, chosen, trainer.runtime)
    torch.testing.assert_close(alone, experts[1])
    assert not whole.requires_grad
    assert whole.shape == (5, 4)
    assert experts.shape == (2, 5, 4)
