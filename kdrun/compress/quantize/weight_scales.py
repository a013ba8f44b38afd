"""Weights as whole numbers: which scales, and which numbers."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from kdrun.compress.calibrators import Grid

_UNUSED = 0xFF  # bits of a float32 that a scale leaves 0
_SLACK = 7  # units in the last place by which a scale may fall short
_FINEST = 2.0**-23  # of a bias, in which its whole numbers count
_TRIES = 3


@dataclass(frozen=True)
class WeightGrid:
    """How weights are quantized.

    Attributes:
        grid: the whole numbers.
        per_channel: whether each output channel has a scale of its own, or all share one.
    """

    grid: Grid
    per_channel: bool

    @classmethod
    def of(cls, bits: int, symmetric: bool, per_channel: bool) -> Self:
        """From plain values, as a change has them."""
        return cls(Grid(bits, symmetric), per_channel)

    @property
    def axis(self) -> int | None:
        return 0 if self.per_channel else None


@dataclass(frozen=True)
class Steps:
    """The scales of a tensor, and the whole numbers that stand for 0.

    Attributes:
        scale: (N,) float32, or () where all of it has one.
        zero: as scale; None where all are 0.
    """

    scale: Tensor
    zero: Tensor | None

    def whole(self, values: Tensor, grid: Grid) -> Tensor:
        """The numbers of the grid, as floats, that stand for values (N, ...)."""
        numbers = (values / _beside(self.scale, values)).round_()
        if self.zero is not None:
            numbers += _beside(self.zero, values)
        return numbers.clamp_(grid.lowest, grid.highest)

    def values(self, numbers: Tensor) -> Tensor:
        """What whole numbers (N, ...) stand for."""
        if self.zero is not None:
            numbers = numbers - _beside(self.zero, numbers)
        return numbers * _beside(self.scale, numbers)


@torch.no_grad()
def steps(weight: Tensor, how: WeightGrid, least: Tensor | None = None) -> Steps:
    """Steps that reach from the least weight to the largest, of each channel or of all.

    Scales have 16 significant bits, so that a whole number times its scale is exact in float32.
    Weights that were quantized once have the same scales and numbers when it is done again.

    Args:
        weight: (N, ...).
        how: the grid; where it is not symmetric, it is widened to hold 0.
        least: (N,), what no scale may be below.
    """
    rows = weight.detach().float().flatten(1) if how.per_channel else weight.detach().float()
    ends = torch.stack(torch.aminmax(rows, dim=1) if how.per_channel else torch.aminmax(rows), -1)
    if least is not None and not how.per_channel:
        least = least.max()
    found = _from_ends(ends, how.grid, least)
    if not how.grid.symmetric:
        # Rounding moves the ends, and with them the scale: until it does no more.
        for _ in range(_TRIES):
            ends = found.values(found.whole(ends, how.grid))
            found = _from_ends(ends, how.grid, least)
    return found


def finest(bias: Tensor, input_scale: Tensor) -> Tensor:
    """(N,) the least scales of weights with which a bias is a whole number of 24 bits.

    A bias counts in units of input scale times weight scale, which else are too small for it
    where all weights of a channel are about 0.
    """
    return bias.detach().float().abs() * _FINEST / input_scale


def rounded(weight: Tensor, how: WeightGrid, least: Tensor | None = None) -> tuple[Tensor, Steps]:
    """Weights after they were quantized, and how; gradients pass straight through."""
    found = steps(weight, how, least)
    with torch.no_grad():
        target = found.values(found.whole(weight, how.grid))
    return straight(weight, target), found


def straight(values: Tensor, target: Tensor) -> Tensor:
    """The target exactly, with the gradient of the values."""
    return target + (values - values.detach())


def _from_ends(ends: Tensor, grid: Grid, least: Tensor | None) -> Steps:
    low, high = ends[..., 0].clamp_max(0), ends[..., 1].clamp_min(0)
    if grid.symmetric:
        scale = torch.maximum(-low, high) / grid.highest
    else:
        scale = (high - low) / (grid.highest - grid.lowest)
    if least is not None:
        scale = torch.maximum(scale, least)
    scale = _short(torch.where(scale > 0, scale, 1.0))
    return Steps(scale, None if grid.symmetric else (grid.lowest - low / scale).round())


def _short(scale: Tensor) -> Tensor:
    """Rounded up to 16 significant bits."""
    bits = scale.contiguous().view(torch.int32)
    return ((bits + (_UNUSED - _SLACK)) & ~_UNUSED).view(torch.float32)


def _beside(scale: Tensor, values: Tensor) -> Tensor:
    """A scale (N,) or () in a shape that fits values (N, ...)."""
    return scale.reshape([-1] + [1] * (values.dim() - 1)) if scale.dim() else scale
