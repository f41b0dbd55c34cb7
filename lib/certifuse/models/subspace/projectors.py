"""Random projectors P: R^d -> R^D with orthonormal columns, regenerated from a seed and never stored.

Every projector draws from named numpy streams (the same numbers on every device), works in single precision, and
is differentiable: the gradient of `apply` is `adjoint` and the reverse. All three have P^T P = I exactly in real
arithmetic (about 1e-6 in single precision), so |P w| = |w| and `adjoint` is the least-squares inverse.

| kind      | cost of one product | memory in numbers | coordinates that P reaches |
|-----------|---------------------|-------------------|----------------------------|
| dense     | D d                 | D d               | all                        |
| kronecker | D sqrt(d)           | D + 2 sqrt(D d)   | all but a few, see there   |
| sparse    | D                   | 1.25 D            | all                        |
"""

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from certifuse.base.machine import require_at_most
from certifuse.base.randomness import numpy_stream

LARGEST_FRAME = 1 << 26
"""Numbers in one orthonormal matrix: half a gigabyte in double precision, and up to a minute on one core."""


class Projector(ABC):
    """A linear map with orthonormal columns. `subspace_dim` is d, `ambient_dim` is D, 1 <= d <= D."""

    def __init__(self, subspace_dim: int, ambient_dim: int, device: torch.device | str) -> None:
        if not 1 <= subspace_dim <= ambient_dim:
            raise ValueError(f"projector: expected 1 <= d <= D = {ambient_dim}, got d = {subspace_dim}")
        self.subspace_dim, self.ambient_dim = subspace_dim, ambient_dim
        self.device = torch.device(device)

    @abstractmethod
    def _forward(self, w_d: Tensor) -> Tensor: ...

    @abstractmethod
    def _adjoint(self, theta_D: Tensor) -> Tensor: ...

    def apply(self, w_d: Tensor) -> Tensor:
        """P w: float32 (d,) to (D,), differentiable. ValueError for another shape or device."""
        self._check(w_d, self.subspace_dim)
        return _Product.apply(w_d, self, False)  # type: ignore[no-any-return,no-untyped-call]

    def adjoint(self, theta_D: Tensor) -> Tensor:
        """P^T theta: float32 (D,) to (d,), differentiable. ValueError for another shape or device."""
        self._check(theta_D, self.ambient_dim)
        return _Product.apply(theta_D, self, True)  # type: ignore[no-any-return,no-untyped-call]

    def _check(self, vector: Tensor, size: int) -> None:
        if vector.shape != (size,) or vector.device.type != self.device.type:
            raise ValueError(
                f"projector: expected shape ({size},) on {self.device}, got {tuple(vector.shape)} on {vector.device}; "
                "build the projector on the device of the network"
            )


class _Product(torch.autograd.Function):
    """P x or P^T x; the gradient of one is the other, so nothing is saved for the backward pass."""

    @staticmethod
    def forward(ctx: Any, vector: Tensor, projector: Projector, transposed: bool) -> Tensor:
        ctx.projector, ctx.transposed = projector, transposed
        return projector._adjoint(vector) if transposed else projector._forward(vector)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        product = _Product.apply(gradients[0], ctx.projector, not ctx.transposed)  # type: ignore[no-untyped-call]
        return product, None, None


def _orthonormal(rng: np.random.Generator, rows: int, columns: int, device: torch.device) -> Tensor:
    """Q of a Gaussian matrix, (rows, columns): uniform among orthonormal frames once signs are fixed.

    Mezzadri 2007, arXiv math-ph/0609050. LAPACK rounds differently from machine to machine: computed in double
    precision, equal in single precision but for a rare last bit.

    UserError for more than `LARGEST_FRAME` numbers.
    """
    require_at_most(f"projector: a frame of {columns} vectors in R^{rows}", "numbers", rows * columns, LARGEST_FRAME)
    q, r = np.linalg.qr(rng.standard_normal((rows, columns)))
    return torch.from_numpy((q * np.where(np.diagonal(r) < 0, -1.0, 1.0)).astype(np.float32)).to(device)


def _permutation(rng: np.random.Generator, size: int, device: torch.device) -> Tensor:
    shuffled: NDArray[np.integer[Any]] = np.arange(size, dtype=np.int32 if size < 1 << 31 else np.int64)
    rng.shuffle(shuffled)
    return torch.from_numpy(shuffled).to(device)


class DenseProjector(Projector):
    """Q of a Gaussian D x d matrix. For tests and small D: it holds D d numbers, at most `LARGEST_FRAME`."""

    def __init__(self, subspace_dim: int, ambient_dim: int, seed: int, device: torch.device | str = "cpu") -> None:
        super().__init__(subspace_dim, ambient_dim, device)
        rng = numpy_stream(seed, "projector", "dense", subspace_dim, ambient_dim)
        self._q = _orthonormal(rng, ambient_dim, subspace_dim, self.device)

    def _forward(self, w_d: Tensor) -> Tensor:
        return self._q @ w_d

    def _adjoint(self, theta_D: Tensor) -> Tensor:
        return self._q.T @ theta_D


def kronecker_shape(subspace_dim: int, ambient_dim: int) -> tuple[int, int, int, int]:
    """(D1, d1, D2, d2) with d1 d2 >= d, D1 D2 <= D, d1 <= D1, d2 <= D2.

    Among D1 from sqrt(D) / 2 to sqrt(D), the one that leaves the fewest of the D coordinates out; where d is so near D
    that none of them fits, the largest smaller D1 that does. D1 = 1 always fits.
    """
    root = math.isqrt(ambient_dim)
    best, least = (1, 1, ambient_dim, subspace_dim), ambient_dim
    for rows in range(root, 0, -1):
        columns = ambient_dim // rows
        inner_rows = min(rows, math.isqrt(subspace_dim - 1) + 1)
        inner_columns = -(-subspace_dim // inner_rows)
        fits, missed = inner_columns <= columns, ambient_dim - rows * columns
        if fits and missed < least:
            best, least = (rows, inner_rows, columns, inner_columns), missed
        if least == 0 or (2 * rows <= root and least < ambient_dim):
            break
    return best


class KroneckerProjector(Projector):
    """P w = permutation of vec(Q1 Z Q2^T), filled up with zeros; Z is w, filled up with zeros, as a d1 x d2 matrix.

    Q1 (D1 x d1) and Q2 (D2 x d2) are the Q factors of Gaussian matrices, so the columns of P are orthonormal exactly
    for any d and D (Lotfi et al. 2022, arXiv 2211.13609, Section 4.1, where D1 D2 >= D is cut to D and the columns
    are orthonormal only nearly). The price: D - D1 D2 coordinates, spread at random, stay at theta0; they are fewer
    than sqrt(D), mostly a handful, see `kronecker_shape`. The product costs D1 d1 d2 + D1 d2 D2 multiplications.
    """

    def __init__(self, subspace_dim: int, ambient_dim: int, seed: int, device: torch.device | str = "cpu") -> None:
        super().__init__(subspace_dim, ambient_dim, device)
        rows, inner_rows, columns, inner_columns = kronecker_shape(subspace_dim, ambient_dim)
        purpose = ("projector", "kronecker", subspace_dim, ambient_dim)
        self._q1 = _orthonormal(numpy_stream(seed, *purpose, "left"), rows, inner_rows, self.device)
        self._q2 = _orthonormal(numpy_stream(seed, *purpose, "right"), columns, inner_columns, self.device)
        self._order = _permutation(numpy_stream(seed, *purpose, "order"), ambient_dim, self.device)

    def _forward(self, w_d: Tensor) -> Tensor:
        z = _padded(w_d, self._q1.shape[1] * self._q2.shape[1]).view(self._q1.shape[1], self._q2.shape[1])
        return _padded((self._q1 @ z @ self._q2.T).view(-1), self.ambient_dim).index_select(0, self._order)

    def _adjoint(self, theta_D: Tensor) -> Tensor:
        reached = self._q1.shape[0] * self._q2.shape[0]
        grid = _unpermuted(theta_D, self._order)[:reached].view(self._q1.shape[0], self._q2.shape[0])
        return (self._q1.T @ (grid @ self._q2)).reshape(-1)[: self.subspace_dim]


class SparseProjector(Projector):
    """One non-zero per row: every coordinate of theta is +-w_j / sqrt(n_j) for one j, n_j = coordinates that share w_j.

    Hashed weight sharing (Chen et al. 2015, arXiv 1504.04788) with a random permutation in place of the hash: the
    n_j differ by at most one and none is zero, so the columns, of disjoint support, are orthonormal exactly.
    """

    def __init__(self, subspace_dim: int, ambient_dim: int, seed: int, device: torch.device | str = "cpu") -> None:
        super().__init__(subspace_dim, ambient_dim, device)
        purpose = ("projector", "sparse", subspace_dim, ambient_dim)
        self._order = _permutation(numpy_stream(seed, *purpose, "order"), ambient_dim, self.device)
        signs = numpy_stream(seed, *purpose, "signs").integers(0, 2, ambient_dim, dtype=np.int8)
        self._signs = torch.from_numpy(2 * signs - 1).to(self.device)
        shares = np.full(subspace_dim, ambient_dim // subspace_dim)
        shares[: ambient_dim % subspace_dim] += 1
        self._scale = torch.from_numpy((1.0 / np.sqrt(shares)).astype(np.float32)).to(self.device)

    @property
    def _repeats(self) -> int:
        return -(-self.ambient_dim // self.subspace_dim)

    def _forward(self, w_d: Tensor) -> Tensor:
        shared = (w_d * self._scale).repeat(self._repeats)[: self.ambient_dim]
        return (shared * self._signs).index_select(0, self._order)

    def _adjoint(self, theta_D: Tensor) -> Tensor:
        signed = _unpermuted(theta_D, self._order) * self._signs
        rows = _padded(signed, self._repeats * self.subspace_dim).view(self._repeats, self.subspace_dim)
        return rows.sum(0) * self._scale


def _padded(vector: Tensor, size: int) -> Tensor:
    return torch.nn.functional.pad(vector, (0, size - len(vector)))


def _unpermuted(vector: Tensor, order: Tensor) -> Tensor:
    """x with x[order] = vector."""
    return torch.empty_like(vector).scatter_(0, order.long(), vector)


class IdentityProjector(Projector):
    """d = D and P w = w: every weight is coded. There is nothing random in it."""

    def __init__(self, ambient_dim: int, device: torch.device | str = "cpu") -> None:
        super().__init__(ambient_dim, ambient_dim, device)

    def _forward(self, w_d: Tensor) -> Tensor:
        return w_d.clone()

    def _adjoint(self, theta_D: Tensor) -> Tensor:
        return theta_D.clone()


PROJECTORS: dict[str, type[DenseProjector | KroneckerProjector | SparseProjector]] = {
    "dense": DenseProjector,
    "kronecker": KroneckerProjector,
    "sparse": SparseProjector,
}
