"""The integers that a tensor is quantized to, and their scale and zero point for a range."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class QuantizationGrid:
    """The integers that values are rounded to.

    Attributes:
        bits: bits of each integer, 2 to 16.
        symmetric: whether the zero point is 0 and the integers reach equally far to both sides.
    """

    bits: int
    symmetric: bool

    @property
    def lowest(self) -> int:
        """The lowest integer: -128 for 8 bits; -127 if symmetric, the negative of the highest."""
        return -(2 ** (self.bits - 1)) + self.symmetric

    @property
    def highest(self) -> int:
        """The highest integer: 127 for 8 bits."""
        return 2 ** (self.bits - 1) - 1


class ValueRange(NamedTuple):
    """The values that quantization keeps; it clips those below `low` and above `high`."""

    low: float
    high: float


class AffineMap(NamedTuple):
    """The map from integers to the values that they represent: (integer - zero_point) scale."""

    scale: float
    zero_point: int


def affine_map(values: ValueRange, grid: QuantizationGrid) -> AffineMap:
    """Return the map from the grid's integers to a range of values.

    The range is widened to include 0, which then is the value of an integer. So zero padding and
    the zeros of a ReLU are quantized without error.
    """
    low, high = min(values.low, 0.0), max(values.high, 0.0)
    if grid.symmetric:
        return AffineMap(max(-low, high) / grid.highest or 1.0, 0)
    scale = (high - low) / (grid.highest - grid.lowest) or 1.0
    return AffineMap(scale, round(grid.lowest - low / scale))


def quantize_dequantize(
    values: np.ndarray, value_range: ValueRange, grid: QuantizationGrid
) -> np.ndarray:
    """Return values after clipping to a range and rounding to the grid."""
    scale, zero_point = affine_map(value_range, grid)
    integers = np.clip(np.round(values / scale) + zero_point, grid.lowest, grid.highest)
    return (integers - zero_point) * scale
