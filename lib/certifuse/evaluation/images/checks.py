"""Refusals shared by the evaluation functions: each says what was expected and what was found.

Shape suffixes: N examples, K classes, E experts.
"""

import torch
from torch import Tensor

NORMALISATION_TOLERANCE = 1e-3  # of a row's probability sum; log_softmax in float32 is within 1e-5


def check_outputs(name: str, outputs: Tensor, axes: str) -> None:
    """Require a non-empty floating-point tensor without NaN and with one axis per letter of `axes` ("NK", "ENK").

    Raises:
        ValueError: with the expected and the found shape, type or value.
    """
    if outputs.ndim != len(axes) or 0 in outputs.shape:
        raise ValueError(f"{name}: expected a non-empty shape ({', '.join(axes)}), found {tuple(outputs.shape)}")
    if not outputs.is_floating_point():
        raise ValueError(f"{name}: expected a floating-point tensor, found {outputs.dtype}")
    if outputs.isnan().any():
        raise ValueError(f"{name}: expected numbers, found NaN in {int(outputs.isnan().sum())} places")


def check_finite(name: str, outputs: Tensor) -> None:
    """Require finite values, for the functions that multiply them."""
    if not outputs.isfinite().all():
        raise ValueError(f"{name}: expected finite values, found {int((~outputs.isfinite()).sum())} that are not")


def check_labels(labels_N: Tensor, examples: int, classes: int) -> None:
    """Require `examples` whole-number labels in [0, classes)."""
    if labels_N.shape != (examples,):
        raise ValueError(f"labels_N: expected shape ({examples},), found {tuple(labels_N.shape)}")
    if labels_N.is_floating_point() or labels_N.dtype == torch.bool:
        raise ValueError(f"labels_N: expected whole numbers, found {labels_N.dtype}")
    low, high = int(labels_N.min()), int(labels_N.max())
    if low < 0 or high >= classes:
        raise ValueError(f"labels_N: expected values in 0..{classes - 1}, found {low}..{high}")


def check_log_probs(log_probs_NK: Tensor, labels_N: Tensor) -> None:
    """Require labelled log-probabilities: raw logits would give every score but accuracy a wrong value."""
    check_outputs("log_probs_NK", log_probs_NK, "NK")
    check_labels(labels_N, *log_probs_NK.shape)
    sums_N = log_probs_NK.double().exp().sum(-1)
    worst = float(sums_N[(sums_N - 1).abs().argmax()])
    if abs(worst - 1) > NORMALISATION_TOLERANCE:
        raise ValueError(
            f"log_probs_NK: expected probabilities that sum to 1 (log_softmax of logits), found a row's sum {worst:.6g}"
        )
