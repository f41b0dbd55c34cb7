"""Divide the training images among experts, fusion, validation and certificate."""

from pathlib import Path

import torch

from certifuse.base.digests import digest_file
from certifuse.base.files import write_json
from certifuse.base.manifest import StepRecord
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import make_splits, save_splits
from certifuse.study import paths
from certifuse.study.settings.data import SplitSettings


def split_images(images: Path, settings: SplitSettings, output: Path, summary: Path) -> None:
    """Write the index sets and the statistics of the pool to `output` (safetensors).

    `summary` (JSON) holds the statistics and the sizes, digests and class counts of the sets. Beside `output` goes a
    manifest.
    """
    image_set = load_image_set(images)
    step = StepRecord("split_images", settings, [images])
    splits = make_splits(image_set, settings)
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
    normalisation = {"mean": list(splits.mean), "std": list(splits.std)}
    record = {"image_set": source, "settings": settings.plain(), "sets": sets, "pool_statistics": normalisation}
    write_json(summary, record)
    data = {"splits": [digest_file(output)]}
    step.write(output.with_name(paths.MANIFEST_FILE), [output, summary], data=data)
