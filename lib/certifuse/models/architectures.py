"""The expert architectures by the names of the configuration."""

from collections.abc import Callable

from certifuse.models.blocks import ImageClassifier
from certifuse.models.densenet import DenseNet
from certifuse.models.improved_wide_resnet import ImprovedWideResNet
from certifuse.models.resnet import ResNet
from certifuse.models.resnext import ResNeXt
from certifuse.settings.base import Settings


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
