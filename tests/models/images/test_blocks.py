"""The blocks against a naive recomputation in numpy, float64, from their own weights."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from certifuse.models.images.blocks import (
    ImageClassifier,
    PostActivationBlock,
    PreActivationBlock,
    convolution,
    global_average,
    norm_relu,
    residual_stages,
)

torch.set_num_threads(1)


def array(tensor):
    return tensor.detach().double().numpy()


def naive_convolution(x, layer):
    """Cross-correlation written as its definition: a sum over output position and kernel offset."""
    weight, stride, size = array(layer.weight), layer.stride[0], layer.kernel_size[0]
    pad, group_in = size // 2, layer.in_channels // layer.groups
    images, _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows, columns = range(0, height, stride), range(0, width, stride)
    y = np.zeros((images, layer.out_channels, len(rows), len(columns)))
    for out in range(layer.out_channels):
        first = out // (layer.out_channels // layer.groups) * group_in
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                patch = padded[:, first : first + group_in, row : row + size, column : column + size]
                y[:, out, i, j] = (patch * weight[out]).sum(axis=(1, 2, 3))
    return y


def naive_norm(x, layer):
    mean, variance, scale, shift = (
        array(values)[:, None, None] for values in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    return (x - mean) / np.sqrt(variance + layer.eps) * scale + shift


def naive(x, layers):
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            x = naive_convolution(x, layer)
        elif isinstance(layer, nn.BatchNorm2d):
            x = naive_norm(x, layer)
        elif isinstance(layer, nn.ReLU):
            x = np.maximum(x, 0)
        else:
            assert isinstance(layer, nn.Dropout), layer
    return x


def with_random_statistics(module):
    generator = torch.Generator().manual_seed(1)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.running_mean, layer.weight.data, layer.bias.data):
                tensor.normal_(generator=generator)
            layer.running_var.uniform_(0.5, 2, generator=generator)
    return module.eval()


def body_of(in_channels, out_channels, stride):
    return nn.Sequential(
        convolution(in_channels, out_channels, size=3, stride=stride),
        *norm_relu(out_channels),
        nn.Dropout(0.3),
        convolution(out_channels, out_channels, size=3, groups=2),
        nn.BatchNorm2d(out_channels),
    )


SHAPES = [(4, 4, 1), (4, 6, 1), (4, 4, 2), (4, 6, 2)]


@pytest.mark.parametrize(("in_channels", "out_channels", "stride"), SHAPES)
def test_post_activation_block_by_value(in_channels, out_channels, stride):
    torch.manual_seed(0)
    block = PostActivationBlock(in_channels, out_channels, stride, body_of(in_channels, out_channels, stride))
    with_random_statistics(block)
    images = torch.randn(2, in_channels, 5, 5)
    x = array(images)
    if (in_channels, stride) == (out_channels, 1):
        assert isinstance(block.shortcut, nn.Identity)
        shortcut = x
    else:
        shortcut = naive(x, block.shortcut)
    expected = np.maximum(shortcut + naive(x, block.body), 0)
    np.testing.assert_allclose(array(block(images)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("in_channels", "out_channels", "stride"), SHAPES)
def test_pre_activation_block_by_value(in_channels, out_channels, stride):
    torch.manual_seed(0)
    block = PreActivationBlock(in_channels, out_channels, stride, body_of(in_channels, out_channels, stride))
    with_random_statistics(block)
    images = torch.randn(2, in_channels, 5, 5)
    x = array(images)
    active = naive(x, block.activation)
    if (in_channels, stride) == (out_channels, 1):
        assert block.shortcut is None
        shortcut = x
    else:
        shortcut = naive(active, [block.shortcut])
    expected = shortcut + naive(active, block.body)
    np.testing.assert_allclose(array(block(images)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("block", [PostActivationBlock, PreActivationBlock])
@pytest.mark.parametrize("stride", [1, 2])
def test_what_is_done_in_place_changes_neither_the_input_nor_a_gradient(block, stride):
    """Against the same block with a ReLU that writes elsewhere, and a sum that does: the formulas of the docstrings."""
    torch.manual_seed(0)
    made = block(4, 4, stride, body_of(4, 4, stride))
    apart = copy.deepcopy(made)
    for layer in apart.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    x = torch.randn(3, 4, 6, 6)
    gradients = []
    for own, forward in ((made, made), (apart, lambda x: formula(apart, x))):
        own.train()
        torch.manual_seed(1)
        given = x.clone().requires_grad_()
        (forward(given) ** 2).sum().backward()
        assert torch.equal(given, x)
        gradients.append([given.grad, *(parameter.grad for parameter in own.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def formula(block, x):
    if isinstance(block, PostActivationBlock):
        return (block.shortcut(x) + block.body(x)).relu()
    active = block.activation(x)
    return (x if block.shortcut is None else block.shortcut(active)) + block.body(active)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_the_average_of_maps_is_their_mean_to_the_bit(precision, memory_format, size):
    torch.manual_seed(0)
    maps = torch.randn(5, 6, size, size).to(precision)
    given, plain = (maps.clone(memory_format=memory_format).requires_grad_() for _ in range(2))
    averaged, expected = global_average(given), plain.mean(dim=(2, 3))
    assert torch.equal(averaged, expected)
    weights = torch.randn_like(expected)
    averaged.backward(weights)
    expected.backward(weights)
    assert torch.equal(given.grad, plain.grad)


def test_stages_widen_and_halve_once_per_stage():
    calls = []

    def block(*shape):
        calls.append(shape)
        return nn.Identity()

    residual_stages(block, 3, widths=[8, 16, 32], depths=[2, 1, 3])
    assert calls == [(3, 8, 1), (8, 8, 1), (8, 16, 2), (16, 32, 2), (32, 32, 1), (32, 32, 1)]


def test_classifier_pools_and_classifies_by_value():
    network = ImageClassifier(nn.Identity(), feature_dim=2, num_classes=3)
    images = torch.arange(16.0).reshape(1, 2, 2, 4)
    features, logits = network(images)
    assert features.tolist() == [[3.5, 11.5]]
    expected = array(network.head.weight) @ [3.5, 11.5] + array(network.head.bias)
    np.testing.assert_allclose(array(logits)[0], expected, rtol=1e-6)


@pytest.mark.parametrize("groups", [1, 4])
def test_convolutions_start_at_kaiming_fan_out(groups):
    torch.manual_seed(0)
    layer = convolution(64, 128, size=3, groups=groups)
    ImageClassifier(layer, feature_dim=128, num_classes=2)
    expected = np.sqrt(2 / (3 * 3 * 128))
    standard_error = expected / np.sqrt(2 * layer.weight.numel())
    assert abs(layer.weight.std().item() - expected) < 5 * standard_error
    assert abs(layer.weight.mean().item()) < 5 * expected / np.sqrt(layer.weight.numel())
