"""Diversity against hand counts, numpy and constructed extremes."""

import numpy as np
import pytest
import torch
from torch import Tensor

from certifuse.base.randomness import torch_stream
from certifuse.evaluation.images.combination import probability_average
from certifuse.evaluation.images.diversity import diversity_table, drop_one_accuracy, pair_diversity, pairwise_diversity
from certifuse.evaluation.images.scores import top_k_accuracy

E, N, K = 4, 120, 5


def committee() -> tuple[Tensor, Tensor]:
    stream = torch_stream(0, "diversity")
    labels_N = torch.randint(K, (N,), generator=stream)
    signal_NK = torch.nn.functional.one_hot(labels_N, K).double()
    noise_ENK = torch.randn(E, N, K, generator=stream, dtype=torch.float64)
    return (1.5 * signal_NK + noise_ENK).log_softmax(-1), labels_N


def test_pair_diversity_on_hand_counts() -> None:
    # n11 = 3, n10 = 2, n01 = 1, n00 = 2; of the two double faults one is shared and one differs.
    labels_N = torch.zeros(8).long()
    a_N = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1])
    b_N = torch.tensor([0, 0, 0, 1, 1, 0, 1, 2])
    measures = pair_diversity(a_N, b_N, labels_N)
    assert measures["disagreement"] == 4 / 8
    assert measures["double_fault"] == 2 / 8
    assert measures["q_statistic"] == pytest.approx((3 * 2 - 1 * 2) / (3 * 2 + 1 * 2))
    assert measures["error_correlation"] == pytest.approx((3 * 2 - 1 * 2) / np.sqrt(5 * 3 * 4 * 4))


def test_error_correlation_is_pearsons() -> None:
    log_probs_ENK, labels_N = committee()
    predicted_EN = log_probs_ENK.argmax(-1)
    expected_EE = np.corrcoef((predicted_EN != labels_N).double().numpy())
    found = pairwise_diversity(predicted_EN, labels_N)
    assert list(found) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    for pair, measures in found.items():
        assert measures["error_correlation"] == pytest.approx(expected_EE[pair])


def test_a_copy_is_no_diversity_and_complementary_errors_are_the_most() -> None:
    labels_N = torch.zeros(4).long()
    a_N, b_N = torch.tensor([0, 0, 1, 1]), torch.tensor([1, 1, 0, 0])
    copy = {"disagreement": 0.0, "double_fault": 0.5, "q_statistic": 1.0, "error_correlation": 1.0}
    assert pair_diversity(a_N, a_N, labels_N) == copy
    opposite = {"disagreement": 1.0, "double_fault": 0.0, "q_statistic": -1.0, "error_correlation": -1.0}
    assert pair_diversity(a_N, b_N, labels_N) == opposite


def test_undefined_measures_are_absent() -> None:
    labels_N = torch.zeros(4).long()
    perfect_N, half_N = labels_N, torch.tensor([0, 0, 1, 1])
    assert set(pair_diversity(perfect_N, half_N, labels_N)) == {"disagreement", "double_fault"}


def test_a_mean_over_pairs_needs_every_pair() -> None:
    labels_N = torch.zeros(4).long()
    predicted_EN = torch.tensor([[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1]])
    table = diversity_table(torch.nn.functional.one_hot(predicted_EN, 2).double().log_softmax(-1), labels_N)
    assert "error_correlation_1_2" in table
    assert "error_correlation_0_1" not in table
    assert "error_correlation" not in table
    assert table["double_fault"] == pytest.approx((0 + 0 + 1 / 4) / 3)


def test_the_table_averages_its_pairs() -> None:
    table = diversity_table(*committee())
    for measure in ("disagreement", "double_fault", "q_statistic", "error_correlation"):
        pairs = [table[f"{measure}_{i}_{j}"] for i in range(E) for j in range(i + 1, E)]
        assert table[measure] == pytest.approx(sum(pairs) / 6)
    assert len(table) == 4 * (1 + 6) + E


def test_drop_one_accuracy_is_that_of_the_others() -> None:
    log_probs_ENK, labels_N = committee()
    found = drop_one_accuracy(log_probs_ENK, labels_N)
    for dropped in range(E):
        rest_ENK = log_probs_ENK[[e for e in range(E) if e != dropped]]
        assert found[dropped] == top_k_accuracy(probability_average(rest_ENK), labels_N)


def test_one_expert_has_no_diversity() -> None:
    log_probs_ENK, labels_N = committee()
    assert diversity_table(log_probs_ENK[:1], labels_N) == {}
    with pytest.raises(ValueError, match="expected at least 2 experts, found 1"):
        drop_one_accuracy(log_probs_ENK[:1], labels_N)
    with pytest.raises(ValueError, match=r"with E >= 2, found \(1, 120\)"):
        pairwise_diversity(log_probs_ENK.argmax(-1)[:1], labels_N)


def test_bad_shapes_are_refused() -> None:
    log_probs_ENK, labels_N = committee()
    with pytest.raises(ValueError, match=r"found \[\(3,\), \(2,\), \(3,\)\]"):
        pair_diversity(labels_N[:3], labels_N[:2], labels_N[:3])
    with pytest.raises(ValueError, match=r"expected a non-empty shape \(E, N, K\), found \(120, 5\)"):
        diversity_table(log_probs_ENK[0], labels_N)
