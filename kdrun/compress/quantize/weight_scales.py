"""Computes scales and integers of quantized weights."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from kdrun.compress.quantization_grid import QuantizationGrid

_CLEARED_BITS = 0xFF  # the lowest bits of a float32, which are 0 in every scale
_SLACK = 7  # units in the last place by which a scale may be rounded down instead of up
_BIAS_RESOLUTION = 2.0**-23  # a bias's integer has 24 bits, so that float32 holds it exactly
_ITERATIONS = 3  # of rounding extremes and choosing scales for them


@dataclass(frozen=True)
class WeightGrid:
    """How weights are quantized.

    Attributes:
        grid: the integers.
        per_channel: whether each output channel has its own scale; otherwise a layer has one.
    """

    grid: QuantizationGrid
    per_channel: bool

    @classmethod
    def of(cls, bits: int, symmetric: bool, per_channel: bool) -> Self:
        """Build it from the plain values in the record of a change."""
        return cls(QuantizationGrid(bits, symmetric), per_channel)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `of` as plain values, for the record of a change."""
        return {**asdict(self.grid), "per_channel": self.per_channel}

    @property
    def axis(self) -> int | None:
        """The dimension of a weight that scales belong to; None for a single scale."""
        return 0 if self.per_channel else None


@dataclass(frozen=True)
class WeightScales:
    """The scales and zero points of a weight (N, ...).

    Attributes:
        scale: (N,) float32, or () if the weight has a single scale.
        zero_point: of the shape of `scale`; None if all zero points are 0.
    """

    scale: Tensor
    zero_point: Tensor | None

    def quantize(self, values: Tensor, grid: QuantizationGrid) -> Tensor:
        """Round values (N, ...) to integers of the grid; return these as a float tensor."""
        integers = (values / _expand(self.scale, values)).round_()
        if self.zero_point is not None:
            integers += _expand(self.zero_point, values)
        return integers.clamp_(grid.lowest, grid.highest)

    def dequantize(self, integers: Tensor) -> Tensor:
        """Convert integers (N, ...) to the values that they represent."""
        if self.zero_point is not None:
            integers = integers - _expand(self.zero_point, integers)
        return integers * _expand(self.scale, integers)


class FakeQuantized(NamedTuple):
    """A weight after quantization and dequantization, and the scales that were used."""

    weight: Tensor
    scales: WeightScales


@torch.no_grad()
def choose_scales(
    weight: Tensor, weight_grid: WeightGrid, min_scale: Tensor | None = None
) -> WeightScales:
    """Return scales with which the grid reaches from the lowest weight to the highest.

    Scales have 16 significant bits, so that integer times scale is exact in float32. Quantizing
    weights that were quantized before gives the same scales and integers.

    Args:
        weight: (N, ...).
        weight_grid: the integers, and whether each of the N channels has its own scale.
        min_scale: (N,) lower bound of each channel's scale.
    """
    rows = weight.detach().float()
    if weight_grid.per_channel:
        extremes = torch.stack(torch.aminmax(rows.flatten(1), dim=1), -1)
    else:
        extremes = torch.stack(torch.aminmax(rows), -1)
        min_scale = None if min_scale is None else min_scale.max()
    scales = _scales_of_extremes(extremes, weight_grid.grid, min_scale)
    if not weight_grid.grid.symmetric:
        # Rounding moves the extremes and with them the scale: repeat until neither changes.
        for _ in range(_ITERATIONS):
            extremes = scales.dequantize(scales.quantize(extremes, weight_grid.grid))
            scales = _scales_of_extremes(extremes, weight_grid.grid, min_scale)
    return scales


def min_scale_for_bias(bias: Tensor, input_scale: Tensor) -> Tensor:
    """Return the smallest scales (N,) of weights with which a bias fits into 24 bits.

    A bias is an integer in units of input scale times weight scale. Without this bound, that unit
    would be too small in a channel whose weights are all about 0.
    """
    return bias.detach().float().abs() * _BIAS_RESOLUTION / input_scale


def fake_quantize(
    weight: Tensor, weight_grid: WeightGrid, min_scale: Tensor | None = None
) -> FakeQuantized:
    """Quantize and dequantize a weight; gradients pass straight through to it.

    Args:
        weight: (N, ...).
        weight_grid: as in `choose_scales`.
        min_scale: as in `choose_scales`.
    """
    scales = choose_scales(weight, weight_grid, min_scale)
    with torch.no_grad():
        target = scales.dequantize(scales.quantize(weight, weight_grid.grid))
    return FakeQuantized(straight_through(weight, target), scales)


def straight_through(values: Tensor, target: Tensor) -> Tensor:
    """Return a tensor that equals the target and has the gradient of the values."""
    return target + (values - values.detach())


def _scales_of_extremes(
    extremes: Tensor, grid: QuantizationGrid, min_scale: Tensor | None
) -> WeightScales:
    """Return scales for ranges (..., 2) from low to high, after widening them to include 0."""
    low, high = extremes[..., 0].clamp_max(0), extremes[..., 1].clamp_min(0)
    if grid.symmetric:
        scale = torch.maximum(-low, high) / grid.highest
    else:
        scale = (high - low) / (grid.highest - grid.lowest)
    if min_scale is not None:
        scale = torch.maximum(scale, min_scale)
    scale = _round_up_to_16_bits(torch.where(scale > 0, scale, 1.0))
    zero_point = None if grid.symmetric else (grid.lowest - low / scale).round()
    return WeightScales(scale, zero_point)


def _round_up_to_16_bits(scale: Tensor) -> Tensor:
    """Round up to a float32 with 16 significant bits; round down within the slack."""
    bits = scale.contiguous().view(torch.int32)
    return ((bits + (_CLEARED_BITS - _SLACK)) & ~_CLEARED_BITS).view(torch.float32)


def _expand(scale: Tensor, values: Tensor) -> Tensor:
    """Reshape a scale (N,) or () so that it broadcasts with values (N, ...)."""
    return scale.reshape([-1] + [1] * (values.dim() - 1)) if scale.dim() else scale
