"""Whitening of patches: against NumPy's eigenvectors, exact in any order, and quiet where patches do not vary."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from certifuse.data.images.image_set import channel_statistics, normalise
from certifuse.models.images.whitening import FLOOR, patch_covariance, whitening_filters

COUNT, CHANNELS, SIZE = 300, 3, 9
P = 4 * CHANNELS


def correlated_pixels() -> torch.Tensor:
    """Smooth colour images with noise: neighbours and channels are alike, as in photographs."""
    generator = torch.Generator().manual_seed(0)
    grey = (
        torch.rand(COUNT, 1, SIZE // 3, SIZE // 3, generator=generator).repeat_interleave(3, 2).repeat_interleave(3, 3)
    )
    noise = torch.rand(COUNT, CHANNELS, SIZE, SIZE, generator=generator)
    return (150 * grey + 100 * noise).to(torch.uint8)


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return correlated_pixels()


def normalised_patches(pixels: torch.Tensor) -> np.ndarray:
    """Every patch of the normalised images, (P, M), by a slow loop over positions."""
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in channel_statistics(pixels))
    images = normalise(pixels, mean, std, torch.float64).numpy()
    rows = range(SIZE - 1)
    patches = [images[:, :, row : row + 2, column : column + 2].reshape(COUNT, P) for row in rows for column in rows]
    return np.concatenate(patches).T


def test_whitened_patches_are_uncorrelated_and_of_variance_one(pixels: torch.Tensor) -> None:
    filters = whitening_filters(pixels, *channel_statistics(pixels))
    mean, std = map(torch.tensor, channel_statistics(pixels))
    outputs = functional.conv2d(normalise(pixels, mean, std), filters).transpose(0, 1).flatten(1).double()
    variances = np.linalg.eigvalsh(np.cov(normalised_patches(pixels), bias=True))[::-1].copy()
    expected = torch.diag(torch.from_numpy(variances / (variances + FLOOR)))
    torch.testing.assert_close(torch.cov(outputs, correction=0), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.diag(expected), torch.ones(P, dtype=torch.float64), rtol=0, atol=0.01)


def test_filters_are_the_eigenvectors_of_numpy(pixels: torch.Tensor) -> None:
    variances, directions = np.linalg.eigh(np.cov(normalised_patches(pixels), bias=True))
    expected = (directions / np.sqrt(variances + FLOOR)).T[::-1]
    found = whitening_filters(pixels, *channel_statistics(pixels)).flatten(1).numpy()
    largest = np.abs(found).argmax(1)
    signs = np.sign(expected[range(P), largest])[:, None]
    np.testing.assert_allclose(found, expected * signs, rtol=1e-3, atol=1e-3)
    assert (found[range(P), largest] > 0).all()


def test_the_order_of_images_changes_no_bit(pixels: torch.Tensor) -> None:
    """Nor do threads: sums of whole numbers are exact. One pixel more does."""
    covariance = patch_covariance(pixels, 2)
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(1))
    assert torch.equal(patch_covariance(pixels[order], 2), covariance)
    other = pixels.clone()
    other[0, 0, 4, 4] ^= 1
    assert not torch.equal(patch_covariance(other, 2), covariance)


def test_a_direction_without_variance_stays_small(pixels: torch.Tensor) -> None:
    """Three equal channels, as of a grey photograph: their differences are rounding and are not blown up to one."""
    grey = pixels[:, :1].expand(-1, 3, -1, -1)
    filters = whitening_filters(grey, *channel_statistics(grey))
    assert filters.isfinite().all()
    assert filters.abs().max() <= FLOOR**-0.5
    mean, std = map(torch.tensor, channel_statistics(grey))
    deviations = functional.conv2d(normalise(grey, mean, std), filters).transpose(0, 1).flatten(1).std(1)
    assert deviations[:4].min() > 0.9
    assert deviations[4:].max() < 1e-2
