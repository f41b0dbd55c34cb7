"""Read the images of a study from their source into one file."""

from pathlib import Path

from certifuse.base.digests import digest_file
from certifuse.base.manifest import StepRecord
from certifuse.base.records import permitting
from certifuse.data.images.image_set import save_image_set
from certifuse.data.images.sources import load_source
from certifuse.study import paths
from certifuse.study.settings.data import NpzData
from certifuse.study.steps import PrepareStep


def prepare_images(settings: PrepareStep, output: Path, *, download: bool = False) -> None:
    """Write the image set that `settings` names to `output` (safetensors), and a manifest beside it.

    `download` permits that what is absent is fetched.
    """
    source = [Path(settings.data.path)] if isinstance(settings.data, NpzData) else []
    record = StepRecord("prepare_images", settings, [path for path in source if path.is_file()])
    save_image_set(load_source(permitting(settings.data, download)), output)
    data = {"images": [digest_file(output)]}
    record.write(output.with_name(paths.MANIFEST_FILE), [output], data=data)
