"""ResNet for small images."""

from collections import OrderedDict

from torch import nn

from certifuse.models.images.blocks import ImageClassifier, PostActivationBlock, convolution, norm_relu, residual_stages
from certifuse.study.settings.architectures import ResNetSettings


class ResNet(ImageClassifier):
    """Residual network of basic blocks (He et al. 2016, arXiv 1512.03385, section 3.3 and table 1).

    The stem is one 3 x 3 convolution of stride 1 without max-pooling, so that 32 x 32 images keep their resolution
    in the first stage. The default settings make ResNet-18: 64, 128, 256, 512 channels, two blocks each.
    """

    def __init__(self, settings: ResNetSettings, num_classes: int, in_channels: int = 3) -> None:
        widths = [settings.width * 2**stage for stage in range(len(settings.blocks))]
        trunk = OrderedDict[str, nn.Module](
            stem=nn.Sequential(convolution(in_channels, settings.width, size=3), *norm_relu(settings.width)),
            stages=residual_stages(_basic_block, settings.width, widths, settings.blocks),
        )
        super().__init__(nn.Sequential(trunk), widths[-1], num_classes)


def _basic_block(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    body = nn.Sequential(
        convolution(in_channels, out_channels, size=3, stride=stride),
        *norm_relu(out_channels),
        convolution(out_channels, out_channels, size=3),
        nn.BatchNorm2d(out_channels),
    )
    return PostActivationBlock(in_channels, out_channels, stride, body)


NETWORK = ResNet
SETTINGS = ResNetSettings
