"""Reliability of confidences, and temperature scaling.

Shape suffixes: N examples, K classes, B confidence bins.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from certifuse.evaluation.images.checks import check_finite, check_labels, check_log_probs, check_outputs

TEMPERATURE_RANGE = (0.01, 100.0)
FLAT_SLOPE = 1e-12  # nats per unit of 1/T; below it at both ends, temperature changes nothing


@dataclass(frozen=True, kw_only=True)
class ReliabilityBins:
    """Confidence against accuracy in equal-width bins: bin b holds confidences in (edges[b], edges[b + 1]].

    `mean_confidence` and `accuracy` are NaN where `count` is 0: an empty bin has neither.
    """

    count: npt.NDArray[np.int64]
    mean_confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    edges: npt.NDArray[np.float64]


def reliability_bins(log_probs_NK: Tensor, labels_N: Tensor, bins: int = 15) -> ReliabilityBins:
    """Bin the examples by their largest probability (Guo et al. 2017, "On calibration of modern neural networks").

    Raises:
        ValueError: bad shapes or labels, rows that are not normalised, or fewer than one bin.
    """
    check_log_probs(log_probs_NK, labels_N)
    if bins < 1:
        raise ValueError(f"bins: expected at least 1, found {bins}")
    log_confidence_N, predicted_N = log_probs_NK.double().max(1)
    confidence_N = log_confidence_N.exp().clamp(max=1.0).cpu().numpy()
    correct_N = (predicted_N == labels_N).cpu().numpy()
    edges = np.linspace(0.0, 1.0, bins + 1)
    bin_N = np.searchsorted(edges, confidence_N, side="left") - 1
    count_B = np.bincount(bin_N, minlength=bins)
    divisor_B = np.where(count_B > 0, count_B, np.nan)
    return ReliabilityBins(
        count=count_B,
        mean_confidence=np.bincount(bin_N, confidence_N, minlength=bins) / divisor_B,
        accuracy=np.bincount(bin_N, correct_N, minlength=bins) / divisor_B,
        edges=edges,
    )


def expected_calibration_error(reliability: ReliabilityBins) -> float:
    """ECE = sum_b count_b / N |accuracy_b - mean_confidence_b| over the occupied bins, in [0, 1] (Guo et al., eq. 3).

    Biased upwards on few examples: a perfectly calibrated model does not reach 0.
    """
    gap_B = np.abs(reliability.accuracy - reliability.mean_confidence)
    return float(np.nansum(reliability.count * gap_B) / reliability.count.sum())


def nll_slope(logits_NK: Tensor, labels_N: Tensor, temperature: float) -> float:
    """Derivative of the mean NLL of softmax(logits / T) by 1/T: mean_n (E_{k ~ p_n} logits_nk - logits_ny), in nats.

    Increasing in 1/T, because the second derivative is the variance of the logits under p_n.
    """
    logits_NK = logits_NK.double()
    label_logits_N = logits_NK.gather(1, labels_N.long()[:, None])
    expected_N = ((logits_NK / temperature).softmax(1) * (logits_NK - label_logits_N)).sum(1)
    return float(expected_N.mean())


def fit_temperature(logits_NK: Tensor, labels_N: Tensor) -> float:
    """The temperature T in `TEMPERATURE_RANGE` that minimises the mean NLL of softmax(logits / T) (Guo et al. 2017).

    The NLL is convex in 1/T, so its minimiser is the root of `nll_slope`, bracketed and found by Brent's method in
    log T. Logits and log-probabilities give the same T.

    Returns:
        T; the lower end of the range (0.01) if the NLL still falls there, as when every example is correct; the upper
        end (100) if it still falls there, as for predictions worse than chance; 1 if T has no effect, as for uniform
        predictions. T > 1 softens, T < 1 sharpens.

    Raises:
        ValueError: bad shapes or labels, or values that are not finite.
        RuntimeError: Brent's method did not converge.
    """
    check_outputs("logits_NK", logits_NK, "NK")
    check_finite("logits_NK", logits_NK)
    check_labels(labels_N, *logits_NK.shape)
    from scipy.optimize import brentq

    low, high = TEMPERATURE_RANGE
    slope_low, slope_high = nll_slope(logits_NK, labels_N, low), nll_slope(logits_NK, labels_N, high)
    if max(abs(slope_low), abs(slope_high)) < FLAT_SLOPE:
        return 1.0
    if slope_low <= 0:
        return low
    if slope_high >= 0:
        return high
    log_low, log_high = math.log(low), math.log(high)
    return math.exp(brentq(lambda log_t: nll_slope(logits_NK, labels_N, math.exp(log_t)), log_low, log_high))


def apply_temperature(logits_NK: Tensor, temperature: float) -> Tensor:
    """Log-probabilities (N, K) of softmax(logits / T), float64, from logits or log-probabilities.

    Raises:
        ValueError: bad shape, or a temperature that is not a positive finite number.
    """
    check_outputs("logits_NK", logits_NK, "NK")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature: expected a positive finite number, found {temperature!r}")
    return torch.log_softmax(logits_NK.double() / temperature, dim=-1)
