"""Shared by the expert architectures: convolutions, two residual blocks, stages, and the classifier around them.

Shapes: N images, C channels, H height, W width, d features, K classes.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Classified(NamedTuple):
    """Features and logits of an expert for a batch of images."""

    features_Nd: Tensor
    logits_NK: Tensor


class ImageClassifier(nn.Module):
    """A convolutional trunk, a global average pool and a linear head: the common form of every expert.

    Convolutions start at Kaiming fan-out (He et al. 2015, arXiv 1502.01852, section 2.2), as in the authors' code
    of all four architectures; a grouped convolution counts all its output channels, as ResNeXt's authors do.
    Batch norm starts at the identity and the head at PyTorch's default, as in torchvision.

    Args:
        trunk: images (N, C, H, W) to feature maps (N, d, H', W').
        feature_dim: d.
        num_classes: K.
    """

    def __init__(self, trunk: nn.Module, feature_dim: int, num_classes: int) -> None:
        super().__init__()
        self.feature_dim = feature_dim
        self.trunk = trunk
        self.head = nn.Linear(feature_dim, num_classes)
        for module in trunk.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def fit_to_pool(self, pixels_NCHW: Tensor, mean_C: Sequence[float], std_C: Sequence[float]) -> None:
        """Take from the pool's images what the architecture rests on beside its weights: nothing, for most.

        Called once, before training. Whatever is taken is a buffer, a part of the state and of its digest.

        Args:
            pixels_NCHW: the uint8 images of the pool, which every expert may see.
            mean_C: the mean that normalisation takes from the pixels / 255.
            std_C: what it divides them by.
        """

    def forward(self, images_NCHW: Tensor) -> Classified:
        """The pooled features (N, d) and the logits (N, K)."""
        maps_NdHW: Tensor = self.trunk(images_NCHW)
        features_Nd = global_average(maps_NdHW)
        return Classified(features_Nd, self.head(features_Nd))


def global_average(maps_NdHW: Tensor) -> Tensor:
    """The mean of each map, (N, d): for any image size and, unlike adaptive pooling, deterministic on CUDA.

    Which dimensions are averaged follows the memory format, and so does the gradient, which would otherwise be slow to
    go on with. Neither changes a number.
    """
    if maps_NdHW.is_contiguous(memory_format=torch.channels_last):
        return maps_NdHW.permute(0, 2, 3, 1).flatten(1, 2).mean(dim=1)
    return maps_NdHW.mean(dim=(2, 3))


def convolution(in_channels: int, out_channels: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A `size` x `size` convolution that keeps H and W at stride 1. No bias: the next batch norm removes any."""
    return nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2, groups=groups, bias=False)


def norm_relu(channels: int) -> tuple[nn.BatchNorm2d, nn.ReLU]:
    """Batch norm and ReLU, to unpack into a `nn.Sequential`. In place: no gradient needs what the ReLU overwrites."""
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)


class PostActivationBlock(nn.Module):
    """`relu(shortcut(x) + body(x))` (He et al. 2016, arXiv 1512.03385, eq. 1 and 2).

    The shortcut is the identity, or a 1 x 1 convolution with batch norm where the shape changes (their option B). The
    sum overwrites what the body gives, so the body ends in a layer whose gradient does without (convolution, norm).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            projection = convolution(in_channels, out_channels, size=1, stride=stride)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(out_channels))

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        shortcut_NCHW = self.shortcut(x_NCHW)
        y_NCHW: Tensor = self.body(x_NCHW)
        y_NCHW += shortcut_NCHW
        return functional.relu_(y_NCHW)


class PreActivationBlock(nn.Module):
    """`shortcut + body(a)` with `a = relu(norm(x))` (He et al. 2016, arXiv 1603.05027, fig. 4e).

    The shortcut is `x`, or a 1 x 1 convolution of `a` where the shape changes. The sum overwrites what the body gives,
    as in `PostActivationBlock`.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, body: nn.Module) -> None:
        super().__init__()
        self.activation = nn.Sequential(*norm_relu(in_channels))
        self.body = body
        self.shortcut: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = convolution(in_channels, out_channels, size=1, stride=stride)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        active_NCHW = self.activation(x_NCHW)
        shortcut_NCHW = x_NCHW if self.shortcut is None else self.shortcut(active_NCHW)
        y_NCHW: Tensor = self.body(active_NCHW)
        y_NCHW += shortcut_NCHW
        return y_NCHW


def residual_stages(
    block: Callable[[int, int, int], nn.Module], in_channels: int, widths: Sequence[int], depths: Sequence[int]
) -> nn.Sequential:
    """`depths[s]` blocks of `widths[s]` output channels for each stage s; all stages but the first halve H and W.

    Args:
        block: makes one block from its input channels, output channels and stride.
        in_channels: channels that the first block receives.
        widths: output channels of each stage.
        depths: blocks of each stage.
    """
    blocks = []
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for position in range(depth):
            stride = 2 if stage > 0 and position == 0 else 1
            blocks.append(block(in_channels, width, stride))
            in_channels = width
    return nn.Sequential(*blocks)
