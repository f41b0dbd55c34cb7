"""DenseNet for small images.

Shapes: N images, C channels, H height, W width.
"""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from certifuse.models.images.blocks import ImageClassifier, convolution, norm_relu
from certifuse.study.settings.architectures import DenseNetSettings


class DenseNet(ImageClassifier):
    """DenseNet-BC (Huang et al. 2017, arXiv 1608.06993, section 3 and table 1).

    The stem is one 3 x 3 convolution of stride 1 to twice the growth, as in their CIFAR networks; dropout follows
    each layer, as in torchvision. The default settings make DenseNet-121.
    """

    def __init__(self, settings: DenseNetSettings, num_classes: int, in_channels: int = 3) -> None:
        channels = 2 * settings.growth
        stem = convolution(in_channels, channels, size=3)
        stages: list[nn.Module] = []
        for stage, layers in enumerate(settings.blocks):
            if stage > 0:
                compressed = max(1, math.floor(settings.compression * channels))
                stages.append(_transition(channels, compressed))
                channels = compressed
            for _ in range(layers):
                stages.append(DenseLayer(channels, settings))
                channels += settings.growth
        trunk = OrderedDict[str, nn.Module](
            stem=stem, stages=nn.Sequential(*stages), activation=nn.Sequential(*norm_relu(channels))
        )
        super().__init__(nn.Sequential(trunk), channels, num_classes)


class DenseLayer(nn.Module):
    """Appends `growth` channels, made from all channels before by a 1 x 1 and a 3 x 3 convolution (eq. 2)."""

    def __init__(self, in_channels: int, settings: DenseNetSettings) -> None:
        super().__init__()
        inner = settings.bottleneck * settings.growth
        self.body = nn.Sequential(
            *norm_relu(in_channels),
            convolution(in_channels, inner, size=1),
            *norm_relu(inner),
            convolution(inner, settings.growth, size=3),
            nn.Dropout(settings.dropout),
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, in_channels + growth, H, W)."""
        return torch.cat([x_NCHW, self.body(x_NCHW)], dim=1)


def _transition(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(*norm_relu(in_channels), convolution(in_channels, out_channels, size=1), nn.AvgPool2d(2))


NETWORK = DenseNet
SETTINGS = DenseNetSettings
