"""Predictions of every predictor for each test image, in one sealed file from which all scores can be computed again.

Tensors, for N test images, V validation images and K classes:

`labels` (N,), `validation_labels` (V,): int16.
`{predictor}/predicted` (N,): int16, the most probable class, of every predictor.
`{predictor}/logits` (N, K), `{predictor}/validation_logits` (V, K): float32, of every network and of a stacking (whose
logits are its log-probabilities). Scores are computed from these very numbers, in double precision. Temperatures are
fitted on those of the validation images.

Averages, votes and the oracle have no logits of their own: they follow from those of their experts, as
`evaluation/images/combination.py` says; `fused_plus_experts` is the mean probability of the fused network and its
experts. 4 (N + V) K bytes a network: 5 MB for CIFAR-100.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from certifuse.base.tensors import read_sealed, write_sealed
from certifuse.study import paths

KIND = "predictions on the test images"


def save_predictions(directory: Path, predictions: Mapping[str, Tensor], identity: Mapping[str, Any]) -> None:
    """Write them, atomically; `identity` names the cell or family."""
    write_sealed(directory / paths.PREDICTIONS_FILE, KIND, predictions, identity)


def load_predictions(path: Path) -> dict[str, Tensor]:
    """Read them back. UserError for a file that is absent, damaged or another one."""
    predictions, _ = read_sealed(path, KIND)
    return predictions
