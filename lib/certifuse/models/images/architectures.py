"""The expert architectures by the names of the configuration."""

from collections.abc import Callable

from certifuse.base.records import Settings
from certifuse.models.images.blocks import ImageClassifier
from certifuse.models.images.densenet import DenseNet
from certifuse.models.images.improved_wide_resnet import ImprovedWideResNet
from certifuse.models.images.resnet import ResNet
from certifuse.models.images.resnext import ResNeXt


def build_architecture(name: str, settings: Settings, num_classes: int, in_channels: int = 3) -> ImageClassifier:
    """An untrained expert, its weights drawn from torch's global generator.

    Args:
        name: a key of `ARCHITECTURES`.
        settings: the settings of that architecture (`ARCHITECTURE_SETTINGS[name]`).
        num_classes: K, the size of the logits.
        in_channels: C, the channels of the images.
    """
    return ARCHITECTURES[name](settings, num_classes, in_channels)


ARCHITECTURES: dict[str, Callable[..., ImageClassifier]] = {
    "resnet": ResNet,
    "densenet": DenseNet,
    "improved_wide_resnet": ImprovedWideResNet,
    "resnext": ResNeXt,
}
