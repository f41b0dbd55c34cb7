"""Divide the training images among experts, fusion, validation and certificate.

Reads the image set; writes `splits/splits.safetensors` (index sets, statistics of the pool), `splits/splits.json`
(their sizes and digests) and a manifest. A second for CIFAR, more where near copies are looked for.
"""

import torch

from certifuse.base.digests import digest_file
from certifuse.base.files import write_json
from certifuse.base.manifest import StepRecord
from certifuse.data.images.image_set import load_image_set
from certifuse.data.images.splits import make_splits, save_splits
from certifuse.study import paths
from certifuse.study.steps.data import SplitImages


def split_images(step: SplitImages, files: SplitImages.Files) -> None:
    """Write the index sets and the statistics of the pool, and a summary with sizes, digests and class counts."""
    image_set = load_image_set(files.images)
    record = StepRecord(step, files.source, [files.images])
    splits = make_splits(image_set, step.splits)
    save_splits(splits, files.output)
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
    summary = {
        "image_set": source,
        "settings": step.splits.plain(),
        "sets": sets,
        "pool_statistics": {"mean": list(splits.mean), "std": list(splits.std)},
    }
    write_json(files.summary, summary)
    data = {"splits": [digest_file(files.output)]}
    record.write(files.output.with_name(paths.MANIFEST_FILE), [files.output, files.summary], data=data)
