"""What brings two feature maps of any shapes to one: channels, grid, tokens."""

from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.loss.base import to_float32
from kdrun.loss.tap_pairs import Shape


def as_grid(features: Tensor) -> Tensor:
    """Features as maps (B, C, H, W).

    Tokens (B, T, C) are put back on their square, a class token before them left out; tokens
    that make no square become one row; vectors (B, C) become maps of one pixel.
    """
    if features.dim() == 4:
        return features
    if features.dim() == 2:
        return features[:, :, None, None]
    batch, tokens, width = features.shape
    side = isqrt(tokens)
    if side**2 != tokens and isqrt(tokens - 1) ** 2 == tokens - 1:
        features, side = features[:, 1:], isqrt(tokens - 1)
    height = side if side**2 == features.shape[1] else 1
    return features.transpose(1, 2).reshape(batch, width, height, -1)


def grid_shape(shape: Shape) -> Shape:
    """The shape that `as_grid` gives, without computing."""
    return tuple(as_grid(torch.empty(shape, device="meta")).shape)


def to_smaller_grid(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Two maps (B, C, H, W) averaged to the smaller height and width of both."""
    size = min(student.shape[2], teacher.shape[2]), min(student.shape[3], teacher.shape[3])
    return _pool(student, size), _pool(teacher, size)


def meets_in_one_pixel(student: Shape, teacher: Shape) -> bool:
    """Whether the smaller grid of two places' features has one pixel."""
    own, other = grid_shape(student), grid_shape(teacher)
    return min(own[2], other[2]) * min(own[3], other[3]) == 1


def channel_adapter(student: int, teacher: int) -> nn.Module:
    """A 1x1 convolution with a norm from the student's channels to the teacher's."""
    convolution = nn.Conv2d(student, teacher, kernel_size=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(teacher))


def aligned(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Both as maps of one grid, in float32 at least; the teacher's without a graph."""
    return to_smaller_grid(as_grid(to_float32(student)), as_grid(to_float32(teacher.detach())))


def flat(features: Tensor) -> Tensor:
    """Features (B, C): maps averaged over their pixels, in float32 at least."""
    grid = as_grid(to_float32(features))
    return grid.mean(dim=(2, 3))


def _pool(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return maps if tuple(maps.shape[2:]) == size else F.adaptive_avg_pool2d(maps, size)
