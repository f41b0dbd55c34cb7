"""Divide the training images among experts, fusion, validation and certificate."""

from pathlib import Path

import torch

from certifuse.data.image_set import load_image_set
from certifuse.data.splits import make_splits, save_splits
from certifuse.provenance import write_json
from certifuse.settings.data import SplitSettings


def split_images(images: Path, settings: SplitSettings, output: Path, summary: Path) -> None:
    """Write the index sets to `output` (safetensors) and their sizes, digests and class counts to `summary` (JSON)."""
    image_set = load_image_set(images)
    splits = make_splits(image_set.train_labels, image_set.num_classes, settings)
    save_splits(splits, output)
    digests = splits.digests
    sets = {
        name: {
            "images": len(indices),
            "sha256": digests[name],
            "images_per_class": torch.bincount(
                image_set.train_labels[indices], minlength=image_set.num_classes
            ).tolist(),
        }
        for name, indices in splits.named().items()
    }
    source = {"name": image_set.name, "sha256": image_set.digest, "training_images": len(image_set.train_labels)}
    write_json(summary, {"image_set": source, "settings": settings.plain(), "sets": sets})
