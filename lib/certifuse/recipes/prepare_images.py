"""Read the images of a study from their source into one file."""

from pathlib import Path

from certifuse.data.image_set import save_image_set
from certifuse.data.sources import load_source
from certifuse.settings.base import Settings
from certifuse.settings.data import DataSettings


class PrepareStep(Settings):
    """The settings of this step."""

    data: DataSettings


def prepare_images(settings: PrepareStep, output: Path) -> None:
    """Write the image set that `settings` names to `output` (safetensors)."""
    save_image_set(load_source(settings.data), output)
