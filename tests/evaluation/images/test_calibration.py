"""Calibration against loops, known miscalibration and known temperatures."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from certifuse.base.randomness import torch_stream
from certifuse.evaluation.images.calibration import (
    TEMPERATURE_RANGE,
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    nll_slope,
    reliability_bins,
)
from certifuse.evaluation.images.scores import nll_nats, top_k_accuracy

N, K = 20_000, 10


def sampled_from(temperature: float) -> tuple[Tensor, Tensor]:
    """Logits, and labels drawn from softmax(logits / temperature): calibrated at exactly that temperature."""
    stream = torch_stream(0, "calibration")
    logits_NK = 2 * torch.randn(N, K, generator=stream, dtype=torch.float64)
    labels_N = torch.multinomial((logits_NK / temperature).softmax(1), 1, generator=stream)[:, 0]
    return logits_NK, labels_N


def with_confidence(confidence: float, correct: int, examples: int) -> tuple[Tensor, Tensor]:
    row_K = torch.tensor([confidence, 1 - confidence], dtype=torch.float64).log()
    return row_K.expand(examples, 2), torch.tensor([0] * correct + [1] * (examples - correct))


def test_reliability_bins_equal_a_loop() -> None:
    logits_NK, labels_N = sampled_from(1.0)
    log_probs_NK = logits_NK[:500].log_softmax(1)
    found = reliability_bins(log_probs_NK, labels_N[:500], bins=15)
    confidence, correct = log_probs_NK.exp().amax(1), log_probs_NK.argmax(1) == labels_N[:500]
    error = 0.0
    for b in range(15):
        inside = (confidence > found.edges[b]) & (confidence <= found.edges[b + 1])
        assert found.count[b] == int(inside.sum())
        if inside.any():
            assert found.mean_confidence[b] == pytest.approx(float(confidence[inside].mean()))
            assert found.accuracy[b] == pytest.approx(float(correct[inside].double().mean()))
            error += abs(float((correct[inside].double() - confidence[inside]).sum())) / 500
    assert found.count.sum() == 500
    assert expected_calibration_error(found) == pytest.approx(error)


def test_an_empty_bin_has_no_confidence_and_no_accuracy() -> None:
    found = reliability_bins(*with_confidence(0.75, 3, 4), bins=4)
    assert found.count.tolist() == [0, 0, 4, 0]  # 0.75 closes the third bin
    assert np.isnan(found.accuracy).tolist() == [True, True, False, True]
    assert np.isnan(found.mean_confidence).tolist() == [True, True, False, True]
    np.testing.assert_allclose(found.edges, [0, 0.25, 0.5, 0.75, 1])


def test_certainty_falls_in_the_last_bin() -> None:
    found = reliability_bins(torch.tensor([[0.0, -200.0]]), torch.tensor([0]), bins=3)
    assert found.count.tolist() == [0, 0, 1]
    assert expected_calibration_error(found) == 0.0


def test_ece_of_a_calibrated_set_is_small_and_of_an_overconfident_one_is_its_gap() -> None:
    logits_NK, labels_N = sampled_from(1.0)
    assert expected_calibration_error(reliability_bins(logits_NK.log_softmax(1), labels_N)) < 0.01
    assert expected_calibration_error(reliability_bins(*with_confidence(0.9, 60, 100))) == pytest.approx(0.3)
    sharpened_NK = apply_temperature(logits_NK, 0.25)
    assert expected_calibration_error(reliability_bins(sharpened_NK, labels_N)) > 0.2


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_fit_recovers_the_temperature_that_generated_the_labels(true_temperature: float) -> None:
    assert fit_temperature(*sampled_from(true_temperature)) == pytest.approx(true_temperature, rel=0.03)


def test_fit_has_a_closed_form_on_equal_binary_logits() -> None:
    # 3 of 4 right with logit gap 2: the best probability is 3/4, so 2 / T = log 3.
    logits_NK, labels_N = torch.tensor([[2.0, 0.0]]).expand(4, 2), torch.tensor([0, 0, 0, 1])
    assert fit_temperature(logits_NK, labels_N) == pytest.approx(2 / math.log(3), rel=1e-9)


def test_the_slope_is_the_derivative_by_inverse_temperature_and_vanishes_at_the_fit() -> None:
    logits_NK, labels_N = (part[:300] for part in sampled_from(2.0))
    inverse = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits_NK * inverse, labels_N), inverse)
    assert nll_slope(logits_NK, labels_N, 1 / 0.7) == pytest.approx(float(expected), rel=1e-10)
    fitted = fit_temperature(logits_NK, labels_N)
    assert nll_slope(logits_NK, labels_N, fitted) == pytest.approx(0, abs=1e-9)
    best = nll_nats(apply_temperature(logits_NK, fitted), labels_N)
    for factor in (0.9, 0.99, 1.01, 1.1):
        assert nll_nats(apply_temperature(logits_NK, fitted * factor), labels_N) > best


def test_temperature_changes_no_prediction_and_ignores_row_shifts() -> None:
    logits_NK, labels_N = (part[:300] for part in sampled_from(2.0))
    fitted = fit_temperature(logits_NK, labels_N)
    scaled_NK = apply_temperature(logits_NK, fitted)
    assert torch.equal(scaled_NK.argmax(1), logits_NK.argmax(1))
    assert top_k_accuracy(scaled_NK, labels_N, 3) == top_k_accuracy(logits_NK.log_softmax(1), labels_N, 3)
    assert fit_temperature(logits_NK.log_softmax(1), labels_N) == pytest.approx(fitted, rel=1e-9)
    torch.testing.assert_close(apply_temperature(logits_NK.log_softmax(1), fitted), scaled_NK)
    assert fit_temperature(3 * logits_NK, labels_N) == pytest.approx(3 * fitted, rel=1e-9)


def test_fit_returns_the_documented_ends() -> None:
    logits_NK = torch.tensor([[4.0, 0.0], [0.0, 4.0]])
    assert fit_temperature(logits_NK, torch.tensor([0, 1])) == TEMPERATURE_RANGE[0]
    assert fit_temperature(logits_NK, torch.tensor([1, 0])) == TEMPERATURE_RANGE[1]
    assert fit_temperature(torch.full((3, 7), 1 / 3).log(), torch.tensor([0, 1, 2])) == 1.0


def test_bad_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="expected finite values, found 1 that are not"):
        fit_temperature(torch.tensor([[0.0, -math.inf]]), torch.tensor([0]))
    with pytest.raises(ValueError, match=r"labels_N: expected shape \(1,\)"):
        fit_temperature(torch.zeros(1, 2), torch.zeros(2).long())
    with pytest.raises(ValueError, match="bins: expected at least 1, found 0"):
        reliability_bins(*with_confidence(0.9, 1, 2), bins=0)
    for temperature in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="expected a positive finite number"):
            apply_temperature(torch.zeros(1, 2), temperature)
