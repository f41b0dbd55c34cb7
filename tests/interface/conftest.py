"""A cell that was trained, scored and moved."""

import shutil
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from certifuse.data.images.image_set import load_image_set, normalise
from certifuse.data.images.splits import load_splits
from certifuse.evaluation.images.predictions import load_predictions
from certifuse.steps.evaluate_fusion import evaluate_fusion
from certifuse.study import paths
from certifuse.study.settings.evaluation import EvaluationSettings
from certifuse.study.steps.training import EvaluateFusion


@pytest.fixture(scope="package")
def moved(tiny, tmp_path_factory):
    """A trained and scored cell whose directory was moved: its components, stored predictions, and the test images."""
    root = tmp_path_factory.mktemp("interface")
    run = tiny.train(root / "run", epochs=1)
    step = EvaluateFusion(cell=run.cell, evaluation=EvaluationSettings(), execution=run.step.execution)
    files = {"images": tiny.images, "splits": tiny.splits, "source": "test"}
    evaluate_fusion(step, EvaluateFusion.Files(components=run.directory, output=root / "scores", **files))
    shutil.move(run.directory, root / "elsewhere")
    images = load_image_set(tiny.images)
    return SimpleNamespace(
        directory=root / "elsewhere",
        stored=load_predictions(root / "scores" / paths.PREDICTIONS_FILE),
        images=images.test_images.numpy(),
        normalised=normalise(images.test_images, *map(torch.tensor, statistics(tiny))),
    )


def statistics(tiny: Any) -> tuple[Any, Any]:
    splits = load_splits(tiny.splits)
    return splits.mean, splits.std
