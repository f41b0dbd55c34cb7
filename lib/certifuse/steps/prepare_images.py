"""Read the images of a study from their source into one file.

Reads the archive of CIFAR, an .npz file, or the digits inside scikit-learn; writes `data/images.safetensors` (uint8)
and a manifest. Seconds, and the memory of all images twice.
"""

from pathlib import Path

from certifuse.base.digests import digest_file
from certifuse.base.manifest import StepRecord
from certifuse.base.records import permitting
from certifuse.data.images.image_set import save_image_set
from certifuse.data.images.sources.registry import load_source, source_settings
from certifuse.study import paths
from certifuse.study.steps.data import PrepareImages


def prepare_images(step: PrepareImages, files: PrepareImages.Files) -> None:
    """Write the image set, and a manifest beside it."""
    own = [Path(step.data["path"])] if "path" in step.data else []
    record = StepRecord(step, files.source, [path for path in own if path.is_file()])
    save_image_set(load_source(permitting(source_settings(step.data), bool(files.download))), files.output)
    data = {"images": [digest_file(files.output)]}
    record.write(files.output.with_name(paths.MANIFEST_FILE), [files.output], data=data)
