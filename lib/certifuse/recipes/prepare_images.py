"""Read the images of a study from their source into one file."""

from pathlib import Path

from certifuse import layout
from certifuse.data.image_set import save_image_set
from certifuse.data.sources import load_source
from certifuse.manifests import StepRecord
from certifuse.provenance import digest_file
from certifuse.settings.base import Settings
from certifuse.settings.data import DataSettings, NpzData
from certifuse.settings.downloads import permitting


class PrepareStep(Settings):
    """The settings of this step."""

    data: DataSettings


def prepare_images(settings: PrepareStep, output: Path, *, download: bool = False) -> None:
    """Write the image set that `settings` names to `output` (safetensors), and a manifest beside it.

    `download` permits that what is absent is fetched.
    """
    source = [Path(settings.data.path)] if isinstance(settings.data, NpzData) else []
    record = StepRecord("prepare_images", settings, [path for path in source if path.is_file()])
    save_image_set(load_source(permitting(settings.data, download)), output)
    data = {"images": [digest_file(output)]}
    record.write(output.with_name(layout.MANIFEST_FILE), [output], data=data)
