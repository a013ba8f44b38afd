"""Computes the first singular vectors of a batch of matrices, without full decompositions."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_EXTRA = 8  # vectors that are iterated in addition to the requested ones, for precision
_SQUARINGS = 2  # times that the Gram matrix is squared; an iteration by its power counts as four
_ITERATIONS = 16
_RIDGE = 1e-12  # added to the diagonal, so that equal vectors leave the matrix invertible


class Singular(NamedTuple):
    """The first k singular values and left singular vectors of matrices (B, C, D).

    Attributes:
        squares: squared singular values (B, k), the largest first.
        vectors: (B, C, k).
    """

    squares: Tensor
    vectors: Tensor


def top_singular(maps: Tensor, count: int) -> Singular:
    """Return the first `count` singular vectors of maps (B, C, D), fewer if C or D is smaller.

    They are computed by subspace iteration on the smaller Gram matrix. Their signs are arbitrary
    and are chosen so that the elements of a vector have a sum of 0 or more.
    """
    is_wide = maps.shape[1] <= maps.shape[2]
    gram = maps @ maps.mT if is_wide else maps.mT @ maps
    size = gram.shape[1]
    count, block = min(count, size), min(count + _EXTRA, size)
    basis = _start(size, block).to(gram).expand(len(gram), -1, -1)
    if block < size:
        basis = _iterate(gram, basis)
    squares, rotation = torch.linalg.eigh(basis.mT @ gram @ basis)
    squares, vectors = squares.flip(1)[:, :count], (basis @ rotation).flip(2)[:, :, :count]
    if not is_wide:
        vectors = F.normalize(maps @ vectors, dim=1)
    signs = torch.where(vectors.sum(dim=1, keepdim=True) < 0, -1.0, 1.0).to(gram)
    return Singular(squares, vectors * signs)


def attach_gradient(maps: Tensor, squares: Tensor, vectors: Tensor) -> Tensor:
    """Return the same vectors (B, C, k) with the gradient of singular vectors to the maps.

    To first order, an eigenvector v of A = maps maps' with the eigenvalue l changes by
    (l - A)^+ dA v. If D < C, (l - A)^+ is computed as (1 + maps (l - A')^+ maps') / l with
    A' = maps' maps.

    Args:
        maps: (B, C, D), with a graph.
        squares: the eigenvalues l (B, k).
        vectors: the eigenvectors (B, C, k), detached.
    """
    product = maps @ (maps.mT @ vectors)
    change = product - product.detach()  # dA v: its value is 0, but it has a gradient
    fixed = maps.detach()
    is_wide = maps.shape[1] <= maps.shape[2]
    gram = fixed @ fixed.mT if is_wide else fixed.mT @ fixed
    gram_vectors = vectors if is_wide else F.normalize(fixed.mT @ vectors, dim=1)
    limits = torch.finfo(gram.dtype)
    ridge = limits.eps * gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] + limits.tiny
    steps = []
    for number in range(vectors.shape[2]):
        square, vector = squares[:, number, None, None], vectors[:, :, number, None]
        gram_vector, step = gram_vectors[:, :, number, None], change[:, :, number, None]
        step = step - vector @ (vector.mT @ step)
        if is_wide:
            steps.append(_solve(gram, square, gram_vector, ridge, step))
            continue
        square = square.maximum(ridge)
        inner = _solve(gram, square, gram_vector, ridge, fixed.mT @ step)
        steps.append((step + fixed @ inner) / square)
    return vectors + torch.cat(steps, dim=2)


def _iterate(gram: Tensor, basis: Tensor) -> Tensor:
    """Return an orthonormal basis (B, N, k) that nearly spans the first eigenvectors of `gram`."""
    power = _normalize_largest(gram)
    for _ in range(_SQUARINGS):
        power = _normalize_largest(power @ power)
    for _ in range(_ITERATIONS - 1):
        basis = _orthogonalize(power @ basis)
    return torch.linalg.qr(power @ basis)[0]


def _solve(gram: Tensor, value: Tensor, vector: Tensor, ridge: Tensor, columns: Tensor) -> Tensor:
    """Return (l - A)^+ columns, for columns that are orthogonal to the eigenvector of l.

    Args:
        gram: A (B, N, N).
        value: the eigenvalue l (B, 1, 1).
        vector: the eigenvector of l (B, N, 1).
        ridge: (B, 1, 1), added to the diagonal.
        columns: (B, N, 1).
    """
    unit = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    matrix = value * (unit + vector @ vector.mT) - gram + ridge * unit
    # QR in place of LU: MKL's LU of many large matrices at once fails with several threads.
    rotation, upper = torch.linalg.qr(matrix)
    return torch.linalg.solve_triangular(upper, rotation.mT @ columns, upper=True)


def _orthogonalize(basis: Tensor) -> Tensor:
    """Return nearly orthogonal vectors (B, N, k) that span the same space; faster than QR."""
    units = F.normalize(basis.double(), dim=1)
    products = units.mT @ units
    products.diagonal(dim1=1, dim2=2).add_(_RIDGE)
    upper = torch.linalg.cholesky_ex(products)[0].mT
    return torch.linalg.solve_triangular(upper, units, upper=True, left=False).to(basis)


def _start(size: int, block: int) -> Tensor:
    """Return initial vectors (size, block), always the same ones; the identity if square."""
    if block == size:
        return torch.eye(size, dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    return torch.randn(size, block, dtype=torch.float64, generator=random)


def _normalize_largest(gram: Tensor) -> Tensor:
    """Return matrices divided by their largest element, so that powers don't overflow or vanish."""
    largest = gram.abs().amax(dim=(1, 2), keepdim=True)
    return gram / largest.clamp_min(torch.finfo(gram.dtype).tiny)
