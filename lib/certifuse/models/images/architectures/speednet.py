"""The network of the CIFAR speed records, for small images.

Shapes: N images, C channels, H height, W width, d features.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from certifuse.models.images.blocks import Classified, ImageClassifier, convolution
from certifuse.models.images.whitening import whitening_filters
from certifuse.study.settings.architectures import SpeedNetSettings


class SpeedNet(ImageClassifier):
    """Whitened patches, groups of three convolutions that each halve H and W, a global max-pool and a linear head.

    After the network of Jordan 2024, "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (arXiv 2404.00498, section 3),
    and its successors for CIFAR-100: the whitening is frozen, convolutions start as the identity, the third of a group
    has a shortcut from the first. The feature is scaled by 2 / sqrt(d), so that a step of the head moves the logits
    equally far at every width. The head starts at PyTorch's default; there it starts at weights of variance one, whose
    first loss is twice that of a guess. The default settings make 7.3 M parameters for 100 classes.
    """

    def __init__(self, settings: SpeedNetSettings, num_classes: int, in_channels: int = 3) -> None:
        whitening = Whitening(in_channels)
        channels = [whitening.channels, *settings.widths]
        groups = [Group(*shape) for shape in zip(channels[:-1], settings.widths, settings.kernels, strict=True)]
        trunk = OrderedDict[str, nn.Module](whitening=whitening, groups=nn.Sequential(*groups))
        super().__init__(nn.Sequential(trunk), settings.widths[-1], num_classes)
        for layer in self.trunk.modules():
            if isinstance(layer, nn.Conv2d):
                start_as_identity(layer)

    def fit_to_pool(self, pixels_NCHW: Tensor, mean_C: Sequence[float], std_C: Sequence[float]) -> None:
        """Whiten as the pool's images ask for."""
        whitening = self.trunk.get_submodule("whitening")
        assert isinstance(whitening, Whitening)
        whitening.fit(pixels_NCHW, mean_C, std_C)

    def forward(self, images_NCHW: Tensor) -> Classified:
        """The largest value of each map, scaled, as the feature (N, d), and the logits (N, K)."""
        maps_NdHW: Tensor = self.trunk(images_NCHW)
        features_Nd = maps_NdHW.amax(dim=(2, 3)) * (2 / math.sqrt(self.feature_dim))
        return Classified(features_Nd, self.head(features_Nd))


class Whitening(nn.Module):
    """`silu(W * x + b)`, with W the whitening filters of 2 x 2 patches and their negatives, which nothing trains.

    W is a part of the state, so what loads the network needs no images. Until `fit` or a state fills it, it is NaN: a
    network that was never shown its pool gives no number that could be taken for a result.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.channels = 2 * 4 * in_channels
        self.filters: Tensor
        self.register_buffer("filters", torch.full((self.channels, in_channels, 2, 2), math.nan))
        self.bias = nn.Parameter(torch.zeros(self.channels))

    def fit(self, pixels_NCHW: Tensor, mean_C: Sequence[float], std_C: Sequence[float]) -> None:
        """Take W from uint8 images and their normalisation."""
        filters = whitening_filters(pixels_NCHW, mean_C, std_C)
        self.filters.copy_(torch.cat([filters, -filters]))

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Maps (N, 8 C, H - 1, W - 1)."""
        return functional.silu(functional.conv2d(images_NCHW, self.filters, self.bias))


class Group(nn.Module):
    """`x = silu(norm(pool(conv(x))))`, then `silu(x + norm(conv(silu(norm(conv(x))))))`.

    The pool takes the largest of 2 x 2; maps of one row or column are left as they are.
    """

    def __init__(self, in_channels: int, out_channels: int, size: int) -> None:
        super().__init__()
        self.entry = convolution(in_channels, out_channels, size)
        self.entry_norm = nn.BatchNorm2d(out_channels)
        self.body = nn.Sequential(
            convolution(out_channels, out_channels, size),
            nn.BatchNorm2d(out_channels),
            nn.SiLU(),
            convolution(out_channels, out_channels, size),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H / 2, W / 2), rounded down."""
        y_NCHW = self.entry(x_NCHW)
        if min(y_NCHW.shape[2:]) > 1:
            y_NCHW = functional.max_pool2d(y_NCHW, 2)
        y_NCHW = functional.silu(self.entry_norm(y_NCHW))
        return functional.silu(y_NCHW + self.body(y_NCHW))


def start_as_identity(layer: nn.Conv2d) -> None:
    """Let the first outputs be the inputs (Dirac filters); outputs beyond those start at PyTorch's default."""
    layer.reset_parameters()
    with torch.no_grad():
        nn.init.dirac_(layer.weight[: layer.in_channels])


NETWORK = SpeedNet
SETTINGS = SpeedNetSettings
