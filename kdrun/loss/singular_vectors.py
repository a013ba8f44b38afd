"""The first singular vectors of many matrices at once, without decomposing each of them."""

import torch
from torch import Tensor

_SPARE = 8  # vectors that are iterated beside those asked for
_SQUARINGS = 2  # of the Gram matrix, so that a step counts as four
_STEPS = 16
_LEAST = 1e-12  # beside products of unit vectors, so that vectors which fall together can be told


def top_eigen(maps: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest squared singular values (B, k) and left vectors (B, C, k) of (B, C, D).

    Subspace iteration on the smaller Gram matrix. k is `count`, or less where C or D is.
    Signs are arbitrary; here the elements of a vector have a sum that is not negative.
    """
    wide = maps.shape[1] <= maps.shape[2]
    gram = maps @ maps.mT if wide else maps.mT @ maps
    size = gram.shape[1]
    count, block = min(count, size), min(count + _SPARE, size)
    basis = _start(size, block).to(gram).expand(len(gram), -1, -1)
    if block < size:
        power = _scaled(gram)
        for _ in range(_SQUARINGS):
            power = _scaled(power @ power)
        for _ in range(_STEPS - 1):
            basis = _spread(power @ basis)
        basis = torch.linalg.qr(power @ basis)[0]
    values, turned = torch.linalg.eigh(basis.mT @ gram @ basis)
    values, vectors = values.flip(1)[:, :count], (basis @ turned).flip(2)[:, :, :count]
    if not wide:
        vectors = torch.nn.functional.normalize(maps @ vectors, dim=1)
    return values, vectors * torch.where(vectors.sum(dim=1, keepdim=True) < 0, -1.0, 1.0).to(gram)


def follow(maps: Tensor, values: Tensor, vectors: Tensor) -> Tensor:
    """The same vectors (B, C, k) with the gradient that singular vectors have, to the maps.

    To first order, a vector v of A = maps maps' with the value l moves by (l - A)^+ dA v. Where D
    is less than C, that is (1 + maps (l - A')^+ maps') / l of what is moved, with A' = maps' maps.
    """
    moved = maps @ (maps.mT @ vectors)
    moved = moved - moved.detach()  # 0, with a gradient
    fixed = maps.detach()
    wide = maps.shape[1] <= maps.shape[2]
    gram = fixed @ fixed.mT if wide else fixed.mT @ fixed
    sides = vectors if wide else torch.nn.functional.normalize(fixed.mT @ vectors, dim=1)
    tiny = torch.finfo(gram.dtype)
    ridge = tiny.eps * gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] + tiny.tiny
    steps = []
    for number in range(vectors.shape[2]):
        value, vector = values[:, number, None, None], vectors[:, :, number, None]
        side, apart = sides[:, :, number, None], moved[:, :, number, None]
        apart = apart - vector @ (vector.mT @ apart)
        if wide:
            steps.append(_solve(gram, value, side, ridge, apart))
            continue
        value = value.maximum(ridge)
        steps.append((apart + fixed @ _solve(gram, value, side, ridge, fixed.mT @ apart)) / value)
    return vectors + torch.cat(steps, dim=2)


def _solve(gram: Tensor, value: Tensor, vector: Tensor, ridge: Tensor, given: Tensor) -> Tensor:
    """(l - A)^+ of columns (B, N, 1) that stand at right angles to the vector of l."""
    unit = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    whole = value * (unit + vector @ vector.mT) - gram + ridge * unit
    # By QR: MKL's LU of many large matrices at once fails with several threads.
    turned, upper = torch.linalg.qr(whole)
    return torch.linalg.solve_triangular(upper, turned.mT @ given, upper=True)


def _spread(basis: Tensor) -> Tensor:
    """Other vectors for the same space (B, N, k), nearly at right angles; quicker than by QR."""
    wide = torch.nn.functional.normalize(basis.double(), dim=1)
    products = wide.mT @ wide
    products.diagonal(dim1=1, dim2=2).add_(_LEAST)
    upper = torch.linalg.cholesky_ex(products)[0].mT
    found = torch.linalg.solve_triangular(upper, wide, upper=True, left=False)
    return found.to(basis)


def _start(size: int, block: int) -> Tensor:
    """An orthonormal basis (size, block), the same each time; all of it where block is size."""
    if block == size:
        return torch.eye(size, dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    return torch.randn(size, block, dtype=torch.float64, generator=random)


def _scaled(gram: Tensor) -> Tensor:
    """With a largest element of 1, so that powers neither overflow nor vanish."""
    return gram / gram.abs().amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(gram.dtype).tiny)
