"""The first singular vectors of many matrices at once, without decomposing each of them."""

import torch
from torch import Tensor

_SPARE = 8  # vectors that are iterated beside those asked for
_SQUARINGS = 2  # of the Gram matrix, so that a step counts as four
_STEPS = 16


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
        for _ in range(_STEPS):
            basis = torch.linalg.qr(power @ basis)[0]
    values, turned = torch.linalg.eigh(basis.mT @ gram @ basis)
    values, vectors = values.flip(1)[:, :count], (basis @ turned).flip(2)[:, :, :count]
    if not wide:
        vectors = torch.nn.functional.normalize(maps @ vectors, dim=1)
    return values, vectors * torch.where(vectors.sum(dim=1, keepdim=True) < 0, -1.0, 1.0).to(gram)


def follow(maps: Tensor, values: Tensor, vectors: Tensor) -> Tensor:
    """The same vectors (B, C, k) with the gradient that singular vectors have, to the maps.

    To first order, a vector v of A = maps maps' with the value l moves by (l - A)^+ dA v.
    """
    moved = maps @ (maps.mT @ vectors)
    moved = moved - moved.detach()  # 0, with a gradient
    gram = (maps @ maps.mT).detach()
    tiny = torch.finfo(gram.dtype)
    unit = torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    steps = []
    for number in range(vectors.shape[2]):
        value, vector = values[:, number, None, None], vectors[:, :, number, None]
        along = vector @ vector.mT
        ridge = tiny.eps * gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] + tiny.tiny
        lift = value * along + ridge * unit
        apart = moved[:, :, number, None]
        apart = apart - vector @ (vector.mT @ apart)
        # By QR: MKL's LU of many large matrices at once fails with several threads.
        turned, upper = torch.linalg.qr(value * unit - gram + lift)
        steps.append(torch.linalg.solve_triangular(upper, turned.mT @ apart, upper=True))
    return vectors + torch.cat(steps, dim=2)


def _start(size: int, block: int) -> Tensor:
    """An orthonormal basis (size, block), the same each time; all of it where block is size."""
    if block == size:
        return torch.eye(size, dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    return torch.randn(size, block, dtype=torch.float64, generator=random)


def _scaled(gram: Tensor) -> Tensor:
    """With a largest element of 1, so that powers neither overflow nor vanish."""
    return gram / gram.abs().amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(gram.dtype).tiny)
