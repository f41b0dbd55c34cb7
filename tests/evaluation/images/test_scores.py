"""Scores against scikit-learn, brute force and hand numbers."""

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss, top_k_accuracy_score
from torch import Tensor

from certifuse.base.randomness import torch_stream
from certifuse.evaluation.images.scores import (
    aurc,
    brier_score,
    nll_nats,
    per_class_accuracy,
    score_table,
    top_k_accuracy,
)

N, K = 200, 8


def random_predictions() -> tuple[Tensor, Tensor]:
    stream = torch_stream(0, "scores")
    logits_NK = 2 * torch.randn(N, K, generator=stream)
    labels_N = torch.randint(K, (N,), generator=stream)
    logits_NK[torch.arange(N), labels_N] += 1
    return logits_NK.log_softmax(1), labels_N


def test_scores_equal_scikit_learn() -> None:
    log_probs_NK, labels_N = random_predictions()
    probs_NK, classes = log_probs_NK.double().exp().numpy(), np.arange(K)
    probs_NK /= probs_NK.sum(1, keepdims=True)
    truth_N = labels_N.numpy()
    assert nll_nats(log_probs_NK, labels_N) == pytest.approx(log_loss(truth_N, probs_NK, labels=classes), rel=1e-6)
    expected_brier = brier_score_loss(truth_N, probs_NK, labels=classes, scale_by_half=False)
    assert brier_score(log_probs_NK, labels_N) == pytest.approx(expected_brier, rel=1e-6)
    for k in (1, 3, 5, K):
        expected = top_k_accuracy_score(truth_N, probs_NK, k=k, labels=classes) if k < K else 1.0
        assert top_k_accuracy(log_probs_NK, labels_N, k) == pytest.approx(expected, abs=1e-12)


def test_scores_of_one_hand_computed_distribution() -> None:
    log_probs_NK = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]], dtype=torch.float64).log()
    labels_N = torch.tensor([1, 1])
    assert nll_nats(log_probs_NK, labels_N) == pytest.approx(-(math.log(0.3) + math.log(0.8)) / 2)
    assert brier_score(log_probs_NK, labels_N) == pytest.approx(((0.25 + 0.49 + 0.04) + (0.01 + 0.04 + 0.01)) / 2)
    assert top_k_accuracy(log_probs_NK, labels_N) == 0.5
    assert top_k_accuracy(log_probs_NK, labels_N, 2) == 1.0
    assert aurc(log_probs_NK, labels_N) == pytest.approx((0 + 1 / 2) / 2)


def test_brier_score_spans_zero_to_two_and_a_certain_mistake_costs_infinite_nats() -> None:
    certain_NK = torch.tensor([[0.0, -math.inf]])
    assert brier_score(certain_NK, torch.tensor([0])) == 0.0
    assert brier_score(certain_NK, torch.tensor([1])) == 2.0
    assert nll_nats(certain_NK, torch.tensor([0])) == 0.0
    assert nll_nats(certain_NK, torch.tensor([1])) == math.inf


def test_a_constant_prediction_scores_chance_at_every_k() -> None:
    log_probs_NK, labels_N = torch.zeros(K, K).log_softmax(1), torch.arange(K)
    assert [top_k_accuracy(log_probs_NK, labels_N, k) for k in (1, 3, K)] == [1 / K, 3 / K, 1.0]


def test_aurc_equals_a_loop_over_coverages() -> None:
    log_probs_NK, labels_N = random_predictions()
    order = sorted(range(N), key=lambda n: -float(log_probs_NK[n].max()))
    wrong = [int(log_probs_NK[n].argmax() != labels_N[n]) for n in order]
    expected = sum(sum(wrong[:n]) / n for n in range(1, N + 1)) / N
    assert aurc(log_probs_NK, labels_N) == pytest.approx(expected, rel=1e-12)


def test_aurc_with_ties_is_the_mean_over_all_orders_of_the_tied_examples() -> None:
    probs_NK = torch.tensor([[0.9, 0.1], [0.7, 0.3], [0.7, 0.3], [0.7, 0.3], [0.6, 0.4]], dtype=torch.float64)
    labels_N = torch.tensor([0, 1, 0, 1, 0])
    wrong = (probs_NK.argmax(1) != labels_N).int().tolist()
    curves = [[wrong[0], *middle, wrong[4]] for middle in itertools.permutations(wrong[1:4])]
    areas = [sum(sum(curve[:n]) / n for n in range(1, 6)) / 5 for curve in curves]
    assert aurc(probs_NK.log(), labels_N) == pytest.approx(sum(areas) / len(areas), rel=1e-12)
    shuffled = [3, 0, 2, 4, 1]
    assert aurc(probs_NK.log()[shuffled], labels_N[shuffled]) == pytest.approx(aurc(probs_NK.log(), labels_N))


def test_aurc_of_constant_confidence_is_the_error_rate() -> None:
    log_probs_NK, labels_N = torch.tensor([[0.8, 0.2]]).log().expand(10, 2), torch.tensor([0] * 7 + [1] * 3)
    assert aurc(log_probs_NK, labels_N) == pytest.approx(0.3)


def test_per_class_accuracy_marks_the_absent_class_by_its_count() -> None:
    log_probs_NK = torch.eye(4)[[0, 0, 1, 2]].mul(5).log_softmax(1)
    accuracy_K, count_K = per_class_accuracy(log_probs_NK, torch.tensor([0, 1, 1, 2]))
    assert count_K.tolist() == [1, 2, 1, 0]
    assert accuracy_K[:3].tolist() == [1.0, 0.5, 1.0]
    assert math.isnan(accuracy_K[3])


def test_per_class_accuracy_averages_to_top1_by_count() -> None:
    log_probs_NK, labels_N = random_predictions()
    accuracy_K, count_K = per_class_accuracy(log_probs_NK, labels_N)
    assert float((accuracy_K * count_K).sum() / N) == pytest.approx(top_k_accuracy(log_probs_NK, labels_N))


def test_score_table_has_top5_only_above_five_classes() -> None:
    log_probs_NK, labels_N = random_predictions()
    assert list(score_table(log_probs_NK, labels_N)) == [
        "top1_percent",
        "top5_percent",
        "nll_nats",
        "brier",
        "ece",
        "aurc",
    ]
    narrow_NK = log_probs_NK[:, :5].log_softmax(1)
    assert list(score_table(narrow_NK, labels_N.clamp(max=4))) == ["top1_percent", "nll_nats", "brier", "ece", "aurc"]


def test_scores_do_not_depend_on_the_order_of_examples() -> None:
    log_probs_NK, labels_N = random_predictions()
    order = torch.randperm(N, generator=torch_stream(0, "order"))
    shuffled = score_table(log_probs_NK[order], labels_N[order])
    assert shuffled == pytest.approx(score_table(log_probs_NK, labels_N), rel=1e-12)


@pytest.mark.parametrize(
    ("log_probs_NK", "labels_N", "message"),
    [
        (torch.zeros(3), torch.zeros(3).long(), r"expected a non-empty shape \(N, K\), found \(3,\)"),
        (torch.zeros(0, 2), torch.zeros(0).long(), r"found \(0, 2\)"),
        (torch.zeros(3, 2).long(), torch.zeros(3).long(), r"floating-point tensor, found torch.int64"),
        (torch.zeros(3, 1), torch.zeros(2).long(), r"labels_N: expected shape \(3,\), found \(2,\)"),
        (torch.zeros(3, 1), torch.zeros(3), r"whole numbers, found torch.float32"),
        (torch.zeros(3, 1), torch.tensor([0, 0, 1]), r"values in 0\.\.0, found 0\.\.1"),
        (torch.tensor([[0.0, math.nan]]), torch.tensor([0]), "found NaN in 1 places"),
        (torch.zeros(1, 2), torch.tensor([0]), "expected probabilities that sum to 1 .* found a row's sum 2"),
        (torch.full((1, 2), 0.25).log(), torch.tensor([0]), "found a row's sum 0.5"),
    ],
)
def test_bad_inputs_are_refused_with_what_was_found(log_probs_NK: Tensor, labels_N: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_table(log_probs_NK, labels_N)


def test_k_beyond_the_classes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected 1\.\.8, found 9"):
        top_k_accuracy(*random_predictions(), k=9)
