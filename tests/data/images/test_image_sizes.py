"""Sizes of training images: when which, and pixels by a slow average."""

import pytest
import torch

from certifuse.data.images.image_sizes import pixels_at, scaled_down

SIZES = ((0.25, 4), (0.5, 6))


@pytest.mark.parametrize(("done", "pixels"), [(0.0, 4), (0.2499, 4), (0.25, 6), (0.4999, 6), (0.5, None), (0.99, None)])
def test_each_part_has_its_size(done, pixels):
    assert pixels_at(SIZES, done) == pixels
    assert pixels_at((), done) is None


def test_a_half_of_the_size_is_a_triangular_average_of_pixels():
    """Weights 1, 3, 3, 1 over 8 in each direction, where none of the four is outside."""
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    found = scaled_down(images, 4)
    assert found.shape == (2, 3, 4, 4)
    for row in (1, 2):
        for column in (1, 2):
            window = images[:, :, 2 * row - 1 : 2 * row + 3, 2 * column - 1 : 2 * column + 3]
            expected = torch.einsum("nchw,h,w->nc", window, weights, weights)
            torch.testing.assert_close(found[:, :, row, column], expected)


def test_the_width_follows_and_nothing_is_made_larger():
    images = torch.randn(1, 1, 8, 12)
    assert scaled_down(images, 6).shape == (1, 1, 6, 9)
    for pixels in (8, 9, None):
        assert scaled_down(images, pixels) is images
