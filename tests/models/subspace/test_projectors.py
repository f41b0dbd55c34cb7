import numpy as np
import pytest
import torch

from certifuse.base.errors import UserError
from certifuse.models.subspace.projectors import PROJECTORS, KroneckerProjector, kronecker_shape

SIZES = [(1, 1), (5, 5), (3, 7), (17, 60), (64, 64), (23, 101), (50, 400)]


def columns(projector):
    return torch.stack([projector.apply(unit) for unit in torch.eye(projector.subspace_dim)], 1)


@pytest.mark.parametrize("kind", PROJECTORS)
@pytest.mark.parametrize(("d", "D"), SIZES)
def test_columns_are_orthonormal_and_the_adjoint_is_the_transpose(kind, d, D):
    projector = PROJECTORS[kind](d, D, seed=3)
    p = columns(projector)
    assert p.shape == (D, d)
    assert torch.allclose(p.T @ p, torch.eye(d), atol=2e-6)
    rows = torch.stack([projector.adjoint(unit) for unit in torch.eye(D)])
    assert torch.allclose(rows, p, atol=1e-6)


@pytest.mark.parametrize("kind", PROJECTORS)
def test_gradients(kind):
    projector = PROJECTORS[kind](6, 31, seed=0)
    w, theta = torch.randn(6, requires_grad=True), torch.randn(31, requires_grad=True)
    (projector.apply(w) * theta.detach()).sum().backward()
    assert torch.allclose(w.grad, projector.adjoint(theta).detach(), atol=1e-6)
    (projector.adjoint(theta) * w.detach()).sum().backward()
    assert torch.allclose(theta.grad, projector.apply(w).detach(), atol=1e-6)
    loss = (projector.apply(w) ** 4).sum()
    (first,) = torch.autograd.grad(loss, w, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), w)
    p = columns(projector)
    assert torch.allclose(second, 12 * p.T @ ((p @ w.detach()) ** 2 * p.sum(1)), atol=1e-4)


@pytest.mark.parametrize("kind", PROJECTORS)
def test_seeds(kind):
    w = torch.linspace(-1, 1, 9)
    first, again, other = (PROJECTORS[kind](9, 80, seed=seed).apply(w) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.05)


GOLDEN = {
    "dense": [1.159207, 0.62795, -0.26176, 1.54148, -0.531249, -0.731445],
    "kronecker": [-0.196159, 0.312835, -0.22958, -1.414203, -1.655153, 0.267294],
    "sparse": [-1.154701, -1.154701, 0.57735, 0.57735, -1.154701, -0.57735],
}


@pytest.mark.parametrize("kind", PROJECTORS)
def test_the_numbers_of_a_seed_never_change(kind):
    """A certificate is rebuilt from its seed: these values are part of the format."""
    theta = PROJECTORS[kind](2, 6, seed=0).apply(torch.tensor([1.0, 2.0]))
    assert theta.tolist() == pytest.approx(GOLDEN[kind], abs=1e-6)


def test_global_generators_are_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    for kind in PROJECTORS.values():
        kind(3, 10, seed=5)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("d", "D"), [(1, 1), (4, 4), (7, 7), (5, 6), (100, 10_007), (999, 1000), (50_000, 40_000_000)])
def test_kronecker_shapes_fit(d, D):
    rows, inner_rows, cols, inner_cols = kronecker_shape(d, D)
    assert inner_rows * inner_cols >= d
    assert rows >= inner_rows
    assert cols >= inner_cols
    assert 0 <= D - rows * cols < max(1, np.sqrt(D))


def test_kronecker_leaves_few_coordinates_out():
    rows, _, cols, _ = kronecker_shape(25, 10_007)
    projector = KroneckerProjector(25, 10_007, seed=0)
    assert int((projector.apply(torch.randn(25)) == 0).sum()) == 10_007 - rows * cols <= 5


def test_sparse_shares_evenly():
    projector = PROJECTORS["sparse"](7, 100, seed=0)
    magnitudes, counts = torch.unique(projector.apply(torch.arange(1.0, 8.0)).abs(), return_counts=True)
    assert sorted(counts.tolist()) == [14, 14, 14, 14, 14, 15, 15]
    assert magnitudes.shape == (7,)


@pytest.mark.parametrize("kind", PROJECTORS)
def test_refusals(kind):
    with pytest.raises(ValueError, match="1 <= d <= D"):
        PROJECTORS[kind](9, 8, seed=0)
    with pytest.raises(ValueError, match="1 <= d <= D"):
        PROJECTORS[kind](0, 8, seed=0)
    with pytest.raises(ValueError, match="expected shape"):
        PROJECTORS[kind](3, 8, seed=0).apply(torch.zeros(4))
    with pytest.raises(ValueError, match="device of the network"):
        PROJECTORS[kind](3, 8, seed=0).apply(torch.zeros(3, device="meta"))


@pytest.mark.parametrize(
    ("kind", "d", "D", "numbers"),
    [("dense", 20_000, 20_000, 4 * 10**8), ("dense", 100, 10**9, 10**11), ("kronecker", 100_003, 100_003, 100_003**2)],
)
def test_a_frame_beyond_half_a_gigabyte_is_refused_before_it_is_drawn(kind, d, D, numbers):
    with pytest.raises(UserError, match=rf"^projector: .* expected at most 67108864 numbers, found {numbers}$"):
        PROJECTORS[kind](d, D, seed=0)
