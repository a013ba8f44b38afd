"""Losses as common code writes them, to be timed and compared with kdrun's.

Each takes pairs of feature maps (B, C, H, W), the student's and the teacher's, and returns the
term of the loss without its weight.
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
    """With all products of two channels in one tensor (B, C1, C2, H * W)."""

    def kernel(first: Tensor, second: Tensor) -> Tensor:
        first, second = first[:, :, None], second[:, None]
        return (first * second).sum(dim=-1).pow(2).mean(dim=(1, 2))

    terms = []
    for pair in maps:
        student, teacher = (F.normalize(features.flatten(2), dim=2) for features in pair)
        both = kernel(teacher, teacher) + kernel(student, student)
        terms.append((both - 2 * kernel(student, teacher)).mean())
    return torch.stack(terms).sum()


def fsp(loss: Loss, maps: Maps) -> Tensor:
    """With all products of a channel and one of the next tap, before the mean over pixels."""

    def flow(before: Tensor, after: Tensor) -> Tensor:
        size = min(before.shape[2], after.shape[2])
        pooled = [F.adaptive_avg_pool2d(features, size).flatten(2) for features in (before, after)]
        first, second = pooled
        return (first[:, :, None] * second[:, None]).mean(dim=-1)

    terms = [
        (flow(student, student_next) - flow(teacher, teacher_next)).pow(2).mean()
        for (student, teacher), (student_next, teacher_next) in pairwise(maps)
    ]
    return torch.stack(terms).sum()


def attention(loss: Loss, maps: Maps) -> Tensor:
    """With powers of all channels at once, which are then averaged."""

    def attend(features: Tensor) -> Tensor:
        return F.normalize(features.pow(2).mean(dim=1).flatten(1))

    return torch.stack([(attend(s) - attend(t)).pow(2).mean() for s, t in maps]).sum()


def vid(loss: Loss, maps: Maps) -> Tensor:
    """The likelihood of each value, with the variance broadcast over the maps."""
    if not isinstance(loss, VID):
        raise TypeError("this is the literal form of vid")
    terms = []
    for (student, teacher), mean, spread in zip(maps, loss.means, loss.spreads, strict=True):
        variance = (F.softplus(spread) + 1e-5)[None, :, None, None]
        likelihood = 0.5 * ((mean(student) - teacher) ** 2 / variance + torch.log(variance))
        terms.append(likelihood.mean())
    return torch.stack(terms).sum()


LITERAL: Mapping[str, Callable[[Loss, Maps], Tensor]] = {
    "attention": attention,
    "fsp": fsp,
    "nst": nst,
    "vid": vid,
}
