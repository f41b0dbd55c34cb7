import itertools

import numpy as np
import pytest
import torch

from certifuse.models.subspace.codebook import Codebook, nearest_level
from certifuse.models.subspace.kmeans import kmeans_1d
from certifuse.models.subspace.quantisation import fit_codebook, quantise, straight_through


def squared_error(values, centroids):
    return float((np.abs(values[:, None] - centroids[None, :]).min(1) ** 2).sum())


def brute_force_error(values, clusters, pinned=False):
    """The least error over all partitions of the sorted values into at most `clusters` runs."""
    values, best = np.sort(values), np.inf
    for edges in itertools.combinations_with_replacement(range(len(values) + 1), clusters - 1):
        runs = np.split(values, edges)
        centres = [run.mean() if run.size else 0.0 for run in runs]
        if pinned:
            centres[0] = 0.0
        best = min(best, sum(float(((run - c) ** 2).sum()) for run, c in zip(runs, centres, strict=True)))
    return best


@pytest.mark.parametrize("clusters", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(6))
def test_kmeans_is_optimal(seed, clusters):
    rng = np.random.default_rng(seed)
    values = np.round(rng.standard_t(2, 9) + 3.0, 1 if seed % 2 else 8)
    assert squared_error(values, kmeans_1d(values, clusters)) == pytest.approx(brute_force_error(values, clusters))
    magnitudes = np.abs(values)
    pinned = kmeans_1d(magnitudes, clusters, first_at_zero=True)
    assert pinned[0] == 0.0
    assert squared_error(magnitudes, pinned) == pytest.approx(brute_force_error(magnitudes, clusters, pinned=True))


def test_kmeans_with_few_distinct_values_and_with_none():
    assert kmeans_1d(np.array([2.0, 2.0, 5.0]), 4).tolist() == [2.0, 5.0, 5.0, 5.0]
    assert kmeans_1d(np.array([]), 2).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 7])
def test_symmetric_codebooks_are_symmetric_and_optimal(levels):
    values = np.random.default_rng(levels).standard_normal(8)
    codebook = fit_codebook(values, levels, "symmetric")
    centroids = codebook.centroids
    assert np.array_equal(centroids, -centroids[::-1])
    assert codebook.bits == 16 * (levels // 2)
    if levels > 1:
        expected = brute_force_error(np.abs(values), levels // 2 + levels % 2, pinned=levels % 2 == 1)
        assert squared_error(values, centroids) == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_uniform_codebooks_take_seven_bits_and_the_best_step():
    values = np.random.default_rng(0).standard_normal(400).astype(np.float32)
    codebook = fit_codebook(values, 5, "uniform")
    assert codebook.bits == 7
    assert np.unique(np.diff(codebook.centroids)).size == 1
    best = min(squared_error(values, np.arange(-2, 3) * step) for step in np.linspace(0.1, 3, 300))
    assert best <= squared_error(values, codebook.centroids) < 1.05 * best


@pytest.mark.parametrize("kind", ["free", "symmetric", "uniform"])
@pytest.mark.parametrize("levels", [1, 2, 6, 11])
def test_quantised_values_are_their_nearest_centroids(kind, levels):
    values = np.random.default_rng(3).standard_normal((7, 9)).astype(np.float32)
    codebook = fit_codebook(values, levels, kind)
    nearest = np.abs(values[..., None] - codebook.centroids).min(-1)
    assert np.abs(values - quantise(values, codebook)) == pytest.approx(nearest)
    assert quantise(quantise(values, codebook), codebook).tobytes() == quantise(values, codebook).tobytes()


def test_more_levels_never_hurt_an_optimal_codebook():
    values = np.random.default_rng(4).standard_normal(300)
    errors = [squared_error(values, kmeans_1d(values, levels)) for levels in range(1, 12)]
    assert all(more <= fewer + 1e-12 for fewer, more in itertools.pairwise(errors))


def test_straight_through_is_the_quantiser_forwards_and_the_identity_backwards():
    values = torch.tensor([-1.2, 0.1, 0.5, 0.9, 2.0], requires_grad=True)
    codebook = Codebook("free", 3, tuple(np.array([-1.0, 0.0, 1.0], np.float16).view(np.uint16).tolist()))
    centroids = torch.from_numpy(codebook.centroids).requires_grad_()
    quantised = straight_through(values, centroids)
    assert np.array_equal(quantised.detach().numpy(), quantise(values.detach().numpy(), codebook))
    weight = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    (weight * quantised).sum().backward()
    assert values.grad.tolist() == weight.tolist()
    assert centroids.grad.tolist() == [1.0, 6.0, 24.0]


def test_training_through_the_quantiser_reaches_the_best_levels():
    target = torch.tensor([0.3, -0.7, 0.3, 0.9])
    values, centroids = torch.zeros(4, requires_grad=True), torch.tensor([-0.5, 0.1, 0.6], requires_grad=True)
    optimiser = torch.optim.SGD([values, centroids], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        ((straight_through(values, centroids) - target) ** 2).sum().backward()
        optimiser.step()
    assert straight_through(values, centroids).tolist() == pytest.approx(target.tolist(), abs=0.01)


def test_ties_go_to_the_lower_level():
    codebook = Codebook("uniform", 2, (0x3C,))
    assert codebook.centroids.tolist() == [-0.5, 0.5]
    assert nearest_level(np.zeros(1, np.float32), codebook).tolist() == [0]


@pytest.mark.parametrize(
    ("values", "levels", "message"),
    [([1.0], 0, "levels"), ([1.0], 70_000, "levels"), ([np.nan], 2, "finite"), ([1e6], 2, "half precision")],
)
def test_refusals(values, levels, message):
    with pytest.raises(ValueError, match=message):
        fit_codebook(np.array(values), levels)


@pytest.mark.parametrize(
    ("kind", "levels", "parameters"),
    [("odd", 2, (1, 2)), ("free", 2, (1,)), ("uniform", 3, (128,)), ("uniform", 3, (0x7F,)), ("free", 2, (2, 1))],
)
def test_impossible_codebooks(kind, levels, parameters):
    with pytest.raises(ValueError, match="codebook"):
        Codebook(kind, levels, parameters)
