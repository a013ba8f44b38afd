"""Terms as common code writes them, to be timed and compared with kdrun's; B, C, H, W as there.

Each takes the pairs of maps that the loss reads, the student's first, and gives the term
unweighted.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from kdrun.loss.base import Loss
from kdrun.loss.vid import VID

Maps = Sequence[tuple[Tensor, Tensor]]


def nst(loss: Loss, maps: Maps) -> Tensor:
    """Every product of two channels as a (B, C1, C2, H W) tensor."""

    def kernel(first: Tensor, second: Tensor) -> Tensor:
        first, second = first[:, :, None], second[:, None]
        return (first * second).sum(dim=-1).pow(2).mean(dim=(1, 2))

    found = []
    for student, teacher in maps:
        own, other = (F.normalize(one.flatten(2), dim=2) for one in (student, teacher))
        apart = kernel(other, other) + kernel(own, own) - 2 * kernel(own, other)
        found.append(apart.mean())
    return torch.stack(found).sum()


def fsp(loss: Loss, maps: Maps) -> Tensor:
    """Every product of a channel with one of the next place, before the mean over pixels."""

    def flow(before: Tensor, after: Tensor) -> Tensor:
        size = min(before.shape[2], after.shape[2])
        first, second = (F.adaptive_avg_pool2d(one, size).flatten(2) for one in (before, after))
        return (first[:, :, None] * second[:, None]).mean(dim=-1)

    found = [
        (flow(own, own_next) - flow(other, other_next)).pow(2).mean()
        for (own, other), (own_next, other_next) in pairwise(maps)
    ]
    return torch.stack(found).sum()


def attention(loss: Loss, maps: Maps) -> Tensor:
    """Powers of the whole maps, which are then averaged."""

    def attend(one: Tensor) -> Tensor:
        return F.normalize(one.pow(2).mean(dim=1).flatten(1))

    return torch.stack([(attend(s) - attend(t)).pow(2).mean() for s, t in maps]).sum()


def vid(loss: Loss, maps: Maps) -> Tensor:
    """The likelihood of each value, with the variance spread over the maps."""
    if not isinstance(loss, VID):
        raise TypeError("this is the literal form of vid")
    found = []
    for (student, teacher), mean, spread in zip(maps, loss.means, loss.spreads, strict=True):
        variance = (F.softplus(spread) + 1e-5)[None, :, None, None]
        likelihood = 0.5 * ((mean(student) - teacher) ** 2 / variance + torch.log(variance))
        found.append(likelihood.mean())
    return torch.stack(found).sum()


LITERAL: Mapping[str, Callable[[Loss, Maps], Tensor]] = {
    "attention": attention,
    "fsp": fsp,
    "nst": nst,
    "vid": vid,
}
