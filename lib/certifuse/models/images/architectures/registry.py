"""The expert architectures by the names of the configuration."""

from collections.abc import Mapping
from typing import Any

from certifuse.base.records import Settings
from certifuse.base.registry import implementation
from certifuse.models.images.blocks import ImageClassifier
from certifuse.study.reading.problems import read_settings

PACKAGE = "certifuse.models.images.architectures"


def architecture_settings(name: str, sizes: Mapping[str, Any]) -> Settings:
    """The settings of an architecture from the sizes that are given; the others are at their defaults.

    Raises:
        UserError: there is no architecture of this name, or it has no such sizes.
    """
    model: type[Settings] = implementation(PACKAGE, "SETTINGS", name, "architecture")
    return read_settings(model, sizes, f"architecture {name}")


def build_architecture(name: str, settings: Settings, num_classes: int, in_channels: int = 3) -> ImageClassifier:
    """An untrained expert, its weights drawn from torch's global generator.

    Args:
        name: the name of an architecture.
        settings: its settings, as of `architecture_settings`.
        num_classes: K, the size of the logits.
        in_channels: C, the channels of the images.

    Raises:
        UserError: there is no architecture of this name.
    """
    network: ImageClassifier = implementation(PACKAGE, "NETWORK", name, "architecture")(
        settings, num_classes, in_channels
    )
    return network
