"""Planted copies, and a comparison of all pairs by numpy."""

import numpy as np
import pytest
import torch

from certifuse.data.images import duplicates as module
from certifuse.data.images.duplicates import correlations, duplicates


def noise(number, *shape, high=200, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, high, (number, *shape), dtype=np.uint8))


def brute_force(images, threshold):
    """Groups by repeated merging over all pairs; everything but the lowest index of each."""
    group = list(range(len(images)))
    flat = images.reshape(len(images), -1).astype(np.float64)
    for j in range(len(images)):
        for i in range(j):
            varies = flat[i].std() > 0 and flat[j].std() > 0
            near = threshold < 1 and varies and np.corrcoef(flat[i], flat[j])[0, 1] >= threshold
            if near or np.array_equal(flat[i], flat[j]):
                group = [group[i] if own == group[j] else own for own in group]
    return [index for index, own in enumerate(group) if own in group[:index]]


def test_equal_bytes_are_always_found_and_only_they_at_1():
    images = noise(40, 3, 8, 8)
    images[9], images[30], images[12], images[20] = images[2], images[2], images[39], images[5] + 20
    assert duplicates(images, 1.0).tolist() == [9, 30, 39]
    assert duplicates(images, 0.999).tolist() == [9, 20, 30, 39]


def test_distinct_images_are_kept_and_few_or_flat_ones_do_no_harm():
    assert len(duplicates(noise(60, 3, 8, 8), 0.8)) == 0
    assert len(duplicates(noise(1, 3, 8, 8), 0.8)) == 0
    flat = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 1, 4, 4)
    assert len(duplicates(flat, 0.5)) == 0
    assert duplicates(torch.cat([flat, flat[:2]]), 0.5).tolist() == [5, 6]


def test_a_chain_is_one_group_of_which_the_first_stays():
    """Each is near to the next only, and the middle of the chain is the image with the highest index."""
    start, step_1, step_2 = noise(3, 1, 16, 16, high=128).int()
    chain = torch.stack([start, (start + step_1 // 2 + step_2 // 2), (start + step_1 // 2)]).to(torch.uint8)
    near = correlations(chain[[0, 1, 0]], chain[[2, 2, 1]])
    threshold = float(near[:2].min())
    assert float(near[2]) < threshold - 0.05
    assert duplicates(chain, threshold).tolist() == [1, 2]
    assert len(duplicates(chain, float(near[:2].max()) + 1e-6)) == 0


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 5, 7), (2, 3, 2)])
@pytest.mark.parametrize("threshold", [1.0, 0.98, 0.9, 0.5])
def test_the_same_as_all_pairs_by_brute_force(shape, threshold, monkeypatch):
    """Smooth and rough images, and copies of a fifth of them with every amount of noise; blocks of 16."""
    monkeypatch.setattr(module, "BLOCK", 16)
    generator = np.random.default_rng(3)
    images = noise(90, *shape, seed=4).numpy().astype(np.float64)
    images[::2] = images[::2].mean((2, 3), keepdims=True) + 0.2 * images[::2]
    for copy, source in enumerate(generator.choice(70, 20, replace=False)):
        images[70 + copy] = images[source] + generator.normal(0, 2.0 * copy, shape)
    images = images[generator.permutation(90)].clip(0, 255).astype(np.uint8)
    found = duplicates(torch.from_numpy(images), threshold).tolist()
    assert found == brute_force(images, threshold)
    assert 0 < len(found) < 89


def test_the_correlation_is_that_of_numpy_and_exactly_1_under_another_brightness():
    first, second = noise(20, 3, 8, 8), noise(20, 3, 8, 8, seed=1)
    second[:5] = first[:5] + 55
    found = correlations(first, second)
    expected = [np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (found[:5] == 1).all()


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 5, 7)])
def test_the_filter_is_never_below_the_correlation(shape):
    """Also for images of patches, whose residual is nothing but rounding, against ones of any roughness."""
    rough = noise(60, *shape)
    patches = noise(60, shape[0], 2, 2).repeat_interleave(16, 2).repeat_interleave(16, 3)[:, :, : shape[1], : shape[2]]
    images = torch.cat([rough, patches, (patches.int() + rough // 50).to(torch.uint8), (rough // 2 + 20)])
    first, second = torch.triu_indices(240, 240, 1)
    vectors = module._bounding_vectors(images)
    bound = (vectors @ vectors.T)[first, second]
    gap = bound - correlations(images[first], images[second])
    assert gap.min() > -module.ROUNDING / 10
    assert gap.max() > 0.5
