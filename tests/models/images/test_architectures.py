"""The architectures: sizes against public counts and hand counts, shapes, gradients, precision, dropout."""

import math

import pytest
import torch
from torch import nn

from certifuse.base.errors import UserError
from certifuse.base.randomness import initialising
from certifuse.base.registry import implementations
from certifuse.data.images.image_set import channel_statistics
from certifuse.models.images.architectures.registry import (
    PACKAGE,
    architecture_settings,
    build_architecture,
)
from certifuse.study.settings.architectures import (
    ARCHITECTURE_SETTINGS,
    DenseNetSettings,
    ImprovedWideResNetSettings,
    ResNetSettings,
    ResNeXtSettings,
    SpeedNetSettings,
)

torch.set_num_threads(1)

TINY = {
    "resnet": ResNetSettings(width=4, blocks=(1, 1)),
    "densenet": DenseNetSettings(growth=4, blocks=(2, 2), bottleneck=2),
    "improved_wide_resnet": ImprovedWideResNetSettings(depth=10, widen_factor=1),
    "resnext": ResNeXtSettings(blocks=(1, 1), cardinality=2, base_width=4, width=4, expansion=2),
    "speednet": SpeedNetSettings(widths=(8, 12, 16)),
}
every_architecture = pytest.mark.parametrize("name", list(ARCHITECTURE_SETTINGS))


def tiny(name, num_classes=5, in_channels=3):
    with initialising(0, "test", name):
        network = build_architecture(name, TINY.get(name, ARCHITECTURE_SETTINGS[name]()), num_classes, in_channels)
    pixels = torch.randint(256, (8, in_channels, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    network.fit_to_pool(pixels, *channel_statistics(pixels))
    return network


def parameter_count(name, settings, num_classes, in_channels=3):
    with torch.device("meta"):
        network = build_architecture(name, settings, num_classes, in_channels)
    return sum(parameter.numel() for parameter in network.parameters())


def test_names_are_those_of_the_settings():
    assert set(implementations(PACKAGE, "NETWORK")) == set(ARCHITECTURE_SETTINGS)
    for name, settings in ARCHITECTURE_SETTINGS.items():
        assert type(architecture_settings(name, {})) is settings


@pytest.mark.parametrize("name", ["resnets", "registry", "__init__"])
def test_what_is_no_architecture_is_refused_with_the_nearest_that_is(name):
    for refused in (lambda: architecture_settings(name, {}), lambda: build_architecture(name, ResNetSettings(), 5)):
        with pytest.raises(UserError, match=r"^architecture: expected one of densenet, ") as caught:
            refused()
        assert ("did you mean 'resnet'?" in str(caught.value)) == (name == "resnets")


def test_sizes_are_checked_by_the_model_of_the_architecture():
    assert architecture_settings("resnet", {"width": 4}) == ResNetSettings(width=4)
    with pytest.raises(UserError, match=r"^architecture resnet: depth: unknown key; allowed: width, blocks"):
        architecture_settings("resnet", {"depth": 4})


# ---- sizes ---------------------------------------------------------------------------------------

# What a CIFAR stem and K = 100 change in torchvision's ImageNet networks (stem 7 x 7 x 3 x 64, K = 1000).
STEM_SHRINKS_BY = 7 * 7 * 3 * 64 - 3 * 3 * 3 * 64


def test_resnet_18_has_the_public_size():
    torchvision_resnet18 = 11_689_512
    expected = torchvision_resnet18 - STEM_SHRINKS_BY - 900 * (512 + 1)
    assert parameter_count("resnet", ResNetSettings(), 100) == expected == 11_220_132


def test_densenet_121_has_the_public_size():
    torchvision_densenet121, stem_norm = 7_978_856, 2 * 64
    expected = torchvision_densenet121 - STEM_SHRINKS_BY - stem_norm - 900 * (1024 + 1)
    assert parameter_count("densenet", DenseNetSettings(), 100) == expected == 7_048_548


def test_wide_resnet_28_10_has_the_public_size():
    # pytorchcv `wrn28_10_cifar100`; the paper's table 4 has 36.5 M.
    assert parameter_count("improved_wide_resnet", ImprovedWideResNetSettings(), 100) == 36_536_884
    # bearpaw/pytorch-classification: 36.48 M for CIFAR-10.
    assert parameter_count("improved_wide_resnet", ImprovedWideResNetSettings(), 10) == 36_479_194


def test_resnext_29_8x64d_has_the_public_size_but_for_its_norms():
    post_activation_cifar10 = 34_426_698  # the paper's table 7: 34.4 M; bearpaw/pytorch-classification: 34.43 M
    stages = [(256, 512), (512, 1024), (1024, 2048)]  # output and inner channels
    post_norms = 2 * 64 + sum(3 * 2 * (2 * inner + out) + 2 * out for out, inner in stages)
    block_inputs = (64 + 2 * 256) + (256 + 2 * 512) + (512 + 2 * 1024)
    pre_norms = 2 * block_inputs + sum(3 * 2 * 2 * inner for _, inner in stages) + 2 * 1024
    expected = post_activation_cifar10 - post_norms + pre_norms + 90 * (1024 + 1)
    assert parameter_count("resnext", ResNeXtSettings(), 100) == expected == 34_515_364


def conv(in_channels, out_channels, size, groups=1):
    return in_channels * out_channels * size * size // groups


def norm(channels):
    return 2 * channels


@pytest.mark.parametrize(("widths", "total"), [((64, 256, 512), 7_291_388), ((32, 128, 256), 1_837_372)])
def test_speednet_counted_by_hand(widths, total):
    """Full and narrow, with 24 whitened patches of 3 channels, which are no parameters; their biases are."""
    first, second, third = widths
    groups = conv(24, first, 1) + 2 * conv(first, first, 1) + conv(first, second, 3) + 2 * conv(second, second, 3)
    groups += conv(second, third, 3) + 2 * conv(third, third, 3) + 3 * norm(first + second + third)
    assert 24 + groups + (third * 100 + 100) == total
    assert parameter_count("speednet", SpeedNetSettings(widths=widths), 100) == total


def test_tiny_resnet_counted_by_hand():
    stem = conv(1, 4, 3) + norm(4)
    first = 2 * (conv(4, 4, 3) + norm(4))
    second = conv(4, 8, 3) + norm(8) + conv(8, 8, 3) + norm(8) + (conv(4, 8, 1) + norm(8))
    total = stem + first + second + (8 * 3 + 3)
    assert parameter_count("resnet", ResNetSettings(width=4, blocks=(1, 1)), 3, in_channels=1) == total == 1319


def test_tiny_densenet_counted_by_hand():
    def layer(channels):
        return norm(channels) + conv(channels, 4, 1) + norm(4) + conv(4, 2, 3)

    transition = norm(6) + conv(6, 3, 1)
    total = conv(3, 4, 3) + layer(4) + transition + layer(3) + layer(5) + norm(7) + (7 * 2 + 2)
    settings = DenseNetSettings(growth=2, blocks=(1, 2), bottleneck=2)
    assert parameter_count("densenet", settings, 2) == total == 480


def test_tiny_wide_resnet_counted_by_hand():
    def block(narrow, wide):
        shortcut = 0 if narrow == wide else conv(narrow, wide, 1)
        return norm(narrow) + conv(narrow, wide, 3) + norm(wide) + conv(wide, wide, 3) + shortcut

    total = conv(3, 16, 3) + block(16, 16) + block(16, 32) + block(32, 64) + norm(64) + (64 * 2 + 2)
    settings = ImprovedWideResNetSettings(depth=10, widen_factor=1)
    assert parameter_count("improved_wide_resnet", settings, 2) == total == 77_330


def test_tiny_resnext_counted_by_hand():
    def block(entry, inner, out):
        body = conv(entry, inner, 1) + norm(inner) + conv(inner, inner, 3, groups=2) + norm(inner) + conv(inner, out, 1)
        return norm(entry) + body + conv(entry, out, 1)

    total = conv(3, 4, 3) + block(4, 6, 8) + block(8, 12, 16) + norm(16) + (16 * 2 + 2)
    settings = ResNeXtSettings(blocks=(1, 1), cardinality=2, base_width=3, width=4, expansion=2)
    assert parameter_count("resnext", settings, 2) == total == 1600


@pytest.mark.parametrize(
    ("name", "feature_dim"),
    [("speednet", 512), ("resnet", 512), ("densenet", 1024), ("improved_wide_resnet", 640), ("resnext", 1024)],
)
def test_full_size_feature_dimension(name, feature_dim):
    with torch.device("meta"):
        assert build_architecture(name, ARCHITECTURE_SETTINGS[name](), 100).feature_dim == feature_dim


# ---- values --------------------------------------------------------------------------------------


def conv_of(x, layer, stride=1, groups=1):
    weight = layer.weight
    return nn.functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)


def norm_of(x, layer):
    """Batch norm by its formula, with the statistics of the batch."""
    variance, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0, keepdim=True)
    scale, shift = layer.weight[:, None, None], layer.bias[:, None, None]
    return (x - mean) / (variance + 1e-5).sqrt() * scale + shift


def relu_norm_of(x, layer):
    return norm_of(x, layer).clamp(min=0)


def resnet_maps(x, trunk):
    x = relu_norm_of(conv_of(x, trunk.stem[0]), trunk.stem[1])
    for block, stride in zip(trunk.stages, (1, 2), strict=True):
        body = block.body
        y = relu_norm_of(conv_of(x, body[0], stride), body[1])
        y = norm_of(conv_of(y, body[3]), body[4])
        shortcut = x if stride == 1 else norm_of(conv_of(x, block.shortcut[0], stride), block.shortcut[1])
        x = (shortcut + y).clamp(min=0)
    return x


def wide_resnet_maps(x, trunk):
    x = conv_of(x, trunk.stem)
    for block, stride in zip(trunk.stages, (1, 2, 2), strict=True):
        active = relu_norm_of(x, block.activation[0])
        y = conv_of(relu_norm_of(conv_of(active, block.body[0], stride), block.body[1]), block.body[4])
        x = y + (x if stride == 1 else conv_of(active, block.shortcut, stride))
    return relu_norm_of(x, trunk.activation[0])


def resnext_maps(x, trunk):
    x = conv_of(x, trunk.stem)
    for block, stride in zip(trunk.stages, (1, 2), strict=True):
        active = relu_norm_of(x, block.activation[0])
        y = relu_norm_of(conv_of(active, block.body[0]), block.body[1])
        y = relu_norm_of(conv_of(y, block.body[3], stride, groups=2), block.body[4])
        x = conv_of(y, block.body[7]) + conv_of(active, block.shortcut, stride)
    return relu_norm_of(x, trunk.activation[0])


def densenet_maps(x, trunk):
    x = conv_of(x, trunk.stem)
    for step in trunk.stages:
        if isinstance(step, nn.Sequential):
            x = nn.functional.avg_pool2d(conv_of(relu_norm_of(x, step[0]), step[2]), 2)
        else:
            y = conv_of(relu_norm_of(x, step.body[0]), step.body[2])
            x = torch.cat([x, conv_of(relu_norm_of(y, step.body[3]), step.body[5])], dim=1)
    return relu_norm_of(x, trunk.activation[0])


def speednet_maps(x, trunk):
    """Then the largest value of each map times 2 / sqrt(d), which the test below takes the mean of."""
    silu = nn.functional.silu
    x = silu(nn.functional.conv2d(x, trunk.whitening.filters, trunk.whitening.bias))
    for group in trunk.groups:
        x = conv_of(x, group.entry)
        height, width = (size // 2 for size in x.shape[2:])
        if min(height, width):
            x = x[:, :, : 2 * height, : 2 * width].unflatten(3, (width, 2)).unflatten(2, (height, 2)).amax((3, 5))
        x = silu(norm_of(x, group.entry_norm))
        y = silu(norm_of(conv_of(x, group.body[0]), group.body[1]))
        x = silu(x + norm_of(conv_of(y, group.body[3]), group.body[4]))
    return (x.flatten(2).max(2).values * 2 / math.sqrt(x.shape[1]))[:, :, None, None]


MAPS = {
    "speednet": speednet_maps,
    "resnet": resnet_maps,
    "densenet": densenet_maps,
    "improved_wide_resnet": wide_resnet_maps,
    "resnext": resnext_maps,
}


@every_architecture
def test_features_by_value(name):
    """The whole trunk, written out in training mode with dropout off and random norms, in float64."""
    network = tiny(name).double()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, mean=1)
            nn.init.normal_(module.bias)
    images = torch.randn(3, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = MAPS[name](images, network.trunk).mean(dim=(2, 3))
    torch.testing.assert_close(network(images).features_Nd, expected)


# ---- behaviour -----------------------------------------------------------------------------------


@every_architecture
@pytest.mark.parametrize(("in_channels", "size"), [(3, 32), (1, 8), (2, 28)])
def test_any_image_size_and_channels(name, in_channels, size):
    network = tiny(name, in_channels=in_channels).eval()
    features, logits = network(torch.randn(2, in_channels, size, size))
    assert features.shape == (2, network.feature_dim)
    assert logits.shape == (2, 5)
    torch.testing.assert_close(logits, features @ network.head.weight.T + network.head.bias)


@every_architecture
def test_gradients_reach_every_parameter(name):
    network = tiny(name)
    torch.manual_seed(0)
    nn.functional.cross_entropy(network(torch.randn(4, 3, 8, 8)).logits_NK, torch.tensor([0, 1, 2, 3])).backward()
    unreached = [key for key, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert not unreached


@every_architecture
def test_channels_last_and_bfloat16_stay_close(name):
    network = tiny(name).eval()
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = network(images).logits_NK
    last = network.to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(images).logits_NK, expected, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        lowered = last(images).logits_NK
    assert lowered.dtype == torch.bfloat16
    torch.testing.assert_close(lowered.float(), expected, rtol=0.1, atol=0.1)


@every_architecture
def test_dropout_acts_in_training_only(name):
    network = tiny(name)
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    first, second = network(images).logits_NK, network(images).logits_NK
    assert torch.equal(first, second) == ("dropout" not in ARCHITECTURE_SETTINGS[name].model_fields)
    network.eval()
    assert torch.equal(network(images).logits_NK, network(images).logits_NK)


def dropouts(network):
    return [module.p for module in network.modules() if isinstance(module, nn.Dropout)]


def test_one_dropout_per_block_with_the_configured_probability():
    assert dropouts(tiny("densenet")) == [0.2] * 4
    assert dropouts(tiny("improved_wide_resnet")) == [0.3] * 3
    assert dropouts(tiny("resnext")) == [0.3] * 2


def test_densenet_layer_keeps_what_came_before():
    network = tiny("densenet").eval()
    layer = network.trunk.stages[0]
    x = torch.randn(1, 8, 4, 4)
    y = layer(x)
    assert y.shape == (1, 12, 4, 4)
    assert torch.equal(y[:, :8], x)


def test_wide_resnet_head_starts_at_xavier():
    with initialising(0, "xavier"):
        head = build_architecture("improved_wide_resnet", TINY["improved_wide_resnet"], 100).head
    limit = math.sqrt(6 / (64 + 100))
    assert limit * 0.99 < head.weight.abs().max() <= limit
    assert not head.bias.any()


@every_architecture
def test_same_stream_same_weights(name):
    first, second = tiny(name).state_dict(), tiny(name).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
