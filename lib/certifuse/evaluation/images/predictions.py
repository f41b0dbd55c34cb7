"""Predictions of every predictor for each test image, in one sealed file."""

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
