"""Wide ResNet for small images."""

from collections import OrderedDict

from torch import nn

from certifuse.models.images.blocks import ImageClassifier, PreActivationBlock, convolution, norm_relu, residual_stages
from certifuse.study.settings.architectures import ImprovedWideResNetSettings


class ImprovedWideResNet(ImageClassifier):
    """Pre-activation wide residual network (Zagoruyko and Komodakis 2016, arXiv 1605.07146, table 1).

    Dropout stands between the two convolutions of a block, after the ReLU (their section 2.4). The head starts at
    Xavier uniform (Glorot and Bengio 2010, eq. 16) with zero bias. The default settings make WRN-28-10.
    """

    def __init__(self, settings: ImprovedWideResNetSettings, num_classes: int, in_channels: int = 3) -> None:
        stem_width = 16  # not widened: groups conv1 and conv2 to conv4 of their table 1
        widths = [stem_width * settings.widen_factor * 2**stage for stage in range(3)]
        depths = [(settings.depth - 4) // 6] * 3

        def block(in_channels: int, out_channels: int, stride: int) -> nn.Module:
            body = nn.Sequential(
                convolution(in_channels, out_channels, size=3, stride=stride),
                *norm_relu(out_channels),
                nn.Dropout(settings.dropout),
                convolution(out_channels, out_channels, size=3),
            )
            return PreActivationBlock(in_channels, out_channels, stride, body)

        trunk = OrderedDict[str, nn.Module](
            stem=convolution(in_channels, stem_width, size=3),
            stages=residual_stages(block, stem_width, widths, depths),
            activation=nn.Sequential(*norm_relu(widths[-1])),
        )
        super().__init__(nn.Sequential(trunk), widths[-1], num_classes)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)


NETWORK = ImprovedWideResNet
SETTINGS = ImprovedWideResNetSettings
