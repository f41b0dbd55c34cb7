"""The sources of images by the names of the configuration."""

from collections.abc import Mapping
from typing import Any

from certifuse.base.registry import implementation
from certifuse.data.images.image_set import ImageSet
from certifuse.study.reading.problems import read_settings
from certifuse.study.settings.data import ImageData, image_source

PACKAGE = "certifuse.data.images.sources"


def source_settings(data: Mapping[str, Any]) -> ImageData:
    """The section `data` of a configuration, read by the model of the source that it names.

    Raises:
        UserError: there is no such source, or its model refuses a key.
    """
    model: type[ImageData] = implementation(PACKAGE, "SETTINGS", image_source(str(data.get("source"))), "data.source")
    return read_settings(model, data, "data")


def load_source(settings: ImageData) -> ImageSet:
    """The images that the settings name. UserError where they are absent, damaged or ill-formed."""
    images: ImageSet = implementation(PACKAGE, "load", image_source(settings.source), "data.source")(settings)
    return images
