"""ResNeXt for small images."""

from collections import OrderedDict

from torch import nn

from certifuse.models.images.blocks import ImageClassifier, PreActivationBlock, convolution, norm_relu, residual_stages
from certifuse.study.settings.architectures import ResNeXtSettings


class ResNeXt(ImageClassifier):
    """ResNeXt (Xie et al. 2017, arXiv 1611.05431, fig. 3c) in the pre-activation order of arXiv 1603.05027.

    A block is 1 x 1 to `cardinality` groups, grouped 3 x 3 (which carries the stride), dropout, 1 x 1 to the output.
    The default settings make ResNeXt-29, 8 x 64d.
    """

    def __init__(self, settings: ResNeXtSettings, num_classes: int, in_channels: int = 3) -> None:
        widths = [settings.expansion * settings.width * 2**stage for stage in range(len(settings.blocks))]

        def block(in_channels: int, out_channels: int, stride: int) -> nn.Module:
            group_width = settings.base_width * (out_channels // widths[0])
            inner = settings.cardinality * group_width
            body = nn.Sequential(
                convolution(in_channels, inner, size=1),
                *norm_relu(inner),
                convolution(inner, inner, size=3, stride=stride, groups=settings.cardinality),
                *norm_relu(inner),
                nn.Dropout(settings.dropout),
                convolution(inner, out_channels, size=1),
            )
            return PreActivationBlock(in_channels, out_channels, stride, body)

        trunk = OrderedDict[str, nn.Module](
            stem=convolution(in_channels, settings.width, size=3),
            stages=residual_stages(block, settings.width, widths, settings.blocks),
            activation=nn.Sequential(*norm_relu(widths[-1])),
        )
        super().__init__(nn.Sequential(trunk), widths[-1], num_classes)


NETWORK = ResNeXt
SETTINGS = ResNeXtSettings
