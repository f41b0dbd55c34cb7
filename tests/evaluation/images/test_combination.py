"""Combination rules against loops, closed forms and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from certifuse.base.randomness import torch_stream
from certifuse.evaluation.images.combination import (
    fit_stacking,
    logit_average,
    majority_vote,
    oracle_correct,
    probability_average,
)
from certifuse.evaluation.images.scores import nll_nats, top_k_accuracy

E, N, K = 3, 400, 4


def committee(examples: int = N) -> tuple[Tensor, Tensor]:
    """Experts with independent noise; the first is the most reliable."""
    stream = torch_stream(0, "committee")
    labels_N = torch.randint(K, (examples,), generator=stream)
    signal_NK = torch.nn.functional.one_hot(labels_N, K).double()
    noise_ENK = torch.randn(E, examples, K, generator=stream, dtype=torch.float64)
    return torch.tensor([2.0, 1.0, 0.5])[:, None, None] * signal_NK + noise_ENK, labels_N


def test_probability_average_is_the_log_of_the_mean() -> None:
    logits_ENK, _ = committee()
    averaged_NK = probability_average(logits_ENK.log_softmax(-1))
    torch.testing.assert_close(averaged_NK, logits_ENK.softmax(-1).mean(0).log())
    impossible_ENK = torch.tensor([[[0.0, -math.inf]], [[-math.inf, 0.0]], [[0.0, -math.inf]]])
    torch.testing.assert_close(probability_average(impossible_ENK).exp(), torch.tensor([[2 / 3, 1 / 3]]).double())


def test_logit_average_is_the_normalised_geometric_mean() -> None:
    logits_ENK, _ = committee()
    geometric_NK = logits_ENK.softmax(-1).prod(0) ** (1 / E)
    torch.testing.assert_close(logit_average(logits_ENK).exp(), geometric_NK / geometric_NK.sum(1, keepdim=True))
    torch.testing.assert_close(logit_average(logits_ENK + 5.0), logit_average(logits_ENK.log_softmax(-1)))


def test_majority_vote_equals_a_loop() -> None:
    logits_ENK, _ = committee()
    mean_NK = logits_ENK.softmax(-1).mean(0)
    for n, winner in enumerate(majority_vote(logits_ENK).tolist()):
        votes = logits_ENK[:, n].argmax(-1).tolist()
        assert winner == max(range(K), key=lambda k: (votes.count(k), float(mean_NK[n, k])))


def test_a_tied_vote_goes_to_the_larger_mean_probability_among_the_voted() -> None:
    # Votes 0 and 1; class 2 has the largest mean probability (0.42) and no vote, class 1 beats class 0.
    probs_ENK = torch.tensor([[[0.45, 0.11, 0.44]], [[0.05, 0.55, 0.40]]])
    assert majority_vote(probs_ENK.log()).tolist() == [1]
    assert majority_vote(torch.zeros(2, 1, 3)).tolist() == [0]


def test_the_oracle_is_right_where_any_expert_is() -> None:
    logits_ENK, labels_N = committee()
    expected = [any(int(logits_ENK[e, n].argmax()) == labels_N[n] for e in range(E)) for n in range(N)]
    found_N = oracle_correct(logits_ENK, labels_N)
    assert found_N.tolist() == expected
    best = max(top_k_accuracy(logits_K.log_softmax(-1), labels_N) for logits_K in logits_ENK)
    assert float(found_N.double().mean()) > best


def test_stacking_without_steps_or_with_a_huge_penalty_is_the_log_probability_average() -> None:
    logits_ENK, labels_N = committee()
    start = fit_stacking(logits_ENK, labels_N, 0.1, max_iterations=0)
    assert not start.converged
    torch.testing.assert_close(start.log_probs(logits_ENK), logit_average(logits_ENK))
    torch.testing.assert_close(start.weights_EKK, (torch.eye(K).double() / E).expand(E, K, K))
    balanced_ENK, balanced_N = logits_ENK[:, :0], labels_N[:0]
    for k in range(K):
        rotated = torch.roll(logits_ENK[:, :20], k, dims=-1)
        balanced_ENK = torch.cat([balanced_ENK, rotated], dim=1)
        balanced_N = torch.cat([balanced_N, (labels_N[:20] + k) % K])
    shrunk = fit_stacking(balanced_ENK, balanced_N, 1e9)  # classes are exchangeable, so the bias stays 0
    torch.testing.assert_close(shrunk.log_probs(balanced_ENK), logit_average(balanced_ENK), atol=1e-5, rtol=1e-5)


def test_unpenalised_stacking_reproduces_scikit_learn() -> None:
    logits_ENK, labels_N = committee()
    stacking = fit_stacking(logits_ENK, labels_N, 0.0, max_iterations=2000, tolerance=1e-9)
    assert stacking.converged
    features_NF = np.concatenate(list(logits_ENK.log_softmax(-1).numpy()), axis=1)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit(features_NF, labels_N.numpy())
    np.testing.assert_allclose(
        stacking.log_probs(logits_ENK).exp().numpy(), oracle.predict_proba(features_NF), atol=1e-5
    )


def test_penalised_stacking_is_the_stationary_point_of_its_stated_objective() -> None:
    logits_ENK, labels_N = committee()
    l2 = 0.05
    stacking = fit_stacking(logits_ENK, labels_N, l2, max_iterations=500, tolerance=1e-10)
    weights_EKK = stacking.weights_EKK.clone().requires_grad_()
    bias_K = stacking.bias_K.clone().requires_grad_()
    scores_NK = torch.einsum("enk,ekc->nc", logits_ENK.log_softmax(-1), weights_EKK) + bias_K
    distance = (weights_EKK - torch.eye(K).double() / E).square().sum()
    objective = torch.nn.functional.cross_entropy(scores_NK, labels_N) + l2 / 2 * distance
    gradients = torch.autograd.grad(objective, (weights_EKK, bias_K))
    assert stacking.objective_nats == pytest.approx(objective.item(), rel=1e-12)
    assert max(float(gradient.abs().max()) for gradient in gradients) < 1e-8


def test_stacking_fits_its_own_examples_at_least_as_well_as_averaging_and_prefers_the_better_expert() -> None:
    logits_ENK, labels_N = committee()
    stacking = fit_stacking(logits_ENK, labels_N, 1e-3)
    assert stacking.converged
    average = nll_nats(logit_average(logits_ENK), labels_N)
    assert nll_nats(stacking.log_probs(logits_ENK), labels_N) < average
    assert stacking.objective_nats < average
    strength_E = [float(block.diagonal().mean()) for block in stacking.weights_EKK]
    assert strength_E[0] > strength_E[1] > strength_E[2]


def test_stacking_generalises_better_than_averaging_unequal_experts() -> None:
    logits_ENK, labels_N = committee(2000)
    stacking = fit_stacking(logits_ENK[:, :1000], labels_N[:1000], 1e-2)
    held_out_ENK, held_out_N = logits_ENK[:, 1000:], labels_N[1000:]
    assert nll_nats(stacking.log_probs(held_out_ENK), held_out_N) < nll_nats(logit_average(held_out_ENK), held_out_N)


def test_stacking_says_when_it_has_not_converged_and_repeats_exactly() -> None:
    logits_ENK, labels_N = committee()
    hasty, again = (fit_stacking(logits_ENK, labels_N, 1e-3, max_iterations=2) for _ in range(2))
    assert not hasty.converged
    assert hasty.gradient > 1e-5
    assert torch.equal(hasty.weights_EKK, again.weights_EKK)
    with torch.inference_mode():
        assert torch.equal(fit_stacking(logits_ENK, labels_N, 1e-3, max_iterations=2).bias_K, hasty.bias_K)


def test_stacking_of_uniform_experts_learns_the_class_frequencies() -> None:
    labels_N = torch.tensor([0] * 6 + [1] * 3 + [2])
    uniform_ENK = torch.zeros(2, 10, 3)
    stacking = fit_stacking(uniform_ENK, labels_N, 1e-3, tolerance=1e-9)
    expected_NK = torch.tensor([0.6, 0.3, 0.1]).double().expand(10, 3)
    torch.testing.assert_close(stacking.log_probs(uniform_ENK).exp(), expected_NK)


def test_bad_inputs_are_refused() -> None:
    logits_ENK, labels_N = committee(10)
    for rule in (probability_average, logit_average, majority_vote):
        with pytest.raises(ValueError, match=r"expected a non-empty shape \(E, N, K\), found \(10, 4\)"):
            rule(logits_ENK[0])
    with pytest.raises(ValueError, match=r"labels_N: expected shape \(10,\), found \(9,\)"):
        oracle_correct(logits_ENK, labels_N[1:])
    with pytest.raises(ValueError, match="expected a non-empty shape"):
        fit_stacking(logits_ENK[0], labels_N, 1.0)
    with pytest.raises(ValueError, match="expected finite l2 >= 0"):
        fit_stacking(logits_ENK, labels_N, -1.0)
    with pytest.raises(ValueError, match=r"expected shape \(3, N, 4\), found \(2, 10, 4\)"):
        fit_stacking(logits_ENK, labels_N, 1.0).log_probs(logits_ENK[:2])
