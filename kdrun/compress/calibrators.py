"""Between which values a tensor's numbers are quantized, chosen from samples of it.

A calibrator looks at the calibration set twice: first at its extremes, then, if it wants to, at
its histogram, whose bins are known by then. So nothing has to be guessed or rescaled on the way.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.ranges import Percent, UnitBelowOne

BINS = 2048  # of a histogram's positive half
_CLIPS = 128  # ranges that the mean squared error is computed for

CALIBRATORS = {
    "minmax": "kdrun.compress.calibrators:MinMax",
    "cumulative_max": "kdrun.compress.calibrators:CumulativeMax",
    "moving_max": "kdrun.compress.calibrators:MovingMax",
    "percentile": "kdrun.compress.calibrators:Percentile",
    "mse": "kdrun.compress.calibrators:MeanSquaredError",
    "kl": "kdrun.compress.calibrators:KLDivergence",
}


@dataclass(frozen=True)
class Grid:
    """The whole numbers that a tensor is quantized to.

    Attributes:
        bits: of each number, 2 to 16.
        symmetric: whether 0 is the middle, and positive and negative numbers reach equally far.
    """

    bits: int = 8
    symmetric: bool = True

    @property
    def lowest(self) -> int:
        """-127 of 8 symmetric bits, else -128: the one without a partner is not used."""
        return -(2 ** (self.bits - 1)) + self.symmetric

    @property
    def highest(self) -> int:
        return 2 ** (self.bits - 1) - 1


@dataclass
class Seen:
    """What was seen of a tensor: extremes in the first pass, a histogram in the second.

    Attributes:
        low: the least value.
        high: the largest.
        maxima: of each batch, the largest absolute value.
        counts: (2 BINS,) how many values were in each of equal bins from -limit to limit.
    """

    low: float = float("inf")
    high: float = float("-inf")
    maxima: list[float] = field(default_factory=list)
    counts: np.ndarray = field(default_factory=lambda: np.zeros(2 * BINS))

    @property
    def limit(self) -> float:
        """The largest absolute value."""
        return max(self.maxima)

    @property
    def sizes(self) -> np.ndarray:
        """(BINS,) how many absolute values were in each of equal bins from 0 to limit."""
        return self.counts[BINS:] + self.counts[:BINS][::-1]

    def extend(self, values: Tensor) -> None:
        """Take in a batch's extremes.

        Raises:
            UserError: a value is not finite.
        """
        low, high = (found.item() for found in torch.aminmax(values.detach().float()))
        if not np.isfinite([low, high]).all():
            raise UserError("a value of the calibration set is not a finite number.")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.maxima.append(max(-low, high, 0.0))

    def count(self, values: Tensor) -> None:
        """Take a batch into the histogram, once all extremes are known."""
        if self.limit:
            bins = torch.histc(values.detach().float(), 2 * BINS, -self.limit, self.limit)
            self.counts += bins.double().cpu().numpy()


class Calibrator(Protocol):
    """A rule for the range of a tensor's values; those outside of it are clipped.

    Attributes:
        counts: whether it reads the histogram.
    """

    counts: bool

    def range(self, seen: Seen, grid: Grid) -> tuple[float, float]:
        """The least and the largest value that are not clipped."""
        ...


class MinMax:
    """From the least value to the largest: nothing is clipped."""

    counts = False

    def range(self, seen: Seen, grid: Grid) -> tuple[float, float]:
        return seen.low, seen.high


class CumulativeMax:
    """From -m to m, where m is the largest |x| of all batches; from 0 where none is negative."""

    counts = False

    def range(self, seen: Seen, grid: Grid) -> tuple[float, float]:
        return _even(seen, seen.limit)


class MovingMax:
    """As `CumulativeMax`, where m is the moving average of the batches' largest |x|.

    m_1 is the first batch's, then m_k = momentum m_(k-1) + (1 - momentum) max |x_k|.

    Args:
        momentum: the share of the past.
    """

    counts = False

    def __init__(self, momentum: UnitBelowOne = 0.9) -> None:
        self.momentum = momentum

    def range(self, seen: Seen, grid: Grid) -> tuple[float, float]:
        average = seen.maxima[0]
        for largest in seen.maxima[1:]:
            average = self.momentum * average + (1 - self.momentum) * largest
        return _even(seen, average)


class Percentile:
    """Between the values below and above which (100 - percentile) / 2 % of all lie.

    Args:
        percentile: of the values that stay, in percent.
    """

    counts = True

    def __init__(self, percentile: Percent = 99.9) -> None:
        self.percentile = percentile

    def range(self, seen: Seen, grid: Grid) -> tuple[float, float]:
        below = np.cumsum(seen.counts)
        tail = (100 - self.percentile) / 200 * below[-1]
        edges = np.linspace(-seen.limit, seen.limit, 2 * BINS + 1)
        low = edges[np.searchsorted(below, tail, side="right")]
        high = edges[np.searchsorted(below, below[-1] - tail, side="left") + 1]
        return max(seen.low, float(low)), min(seen.high, float(high))


class MeanSquaredError:
    """The range whose quantized values differ least from the values, by the mean square.

    Of ranges cut at the k-th of 128 equal parts of the largest |x|, each bin of the histogram
    standing for its middle.
    """

    counts = True

    def range(self, seen: Seen, grid: Grid) -> tuple[float, float]:
        edges = np.linspace(-seen.limit, seen.limit, 2 * BINS + 1)
        middles = (edges[1:] + edges[:-1]) / 2
        ranges = [_within(seen, seen.limit * part / _CLIPS) for part in range(1, _CLIPS + 1)]
        errors = [
            float(seen.counts @ (quantized(middles, *one, grid) - middles) ** 2) for one in ranges
        ]
        return ranges[int(np.argmin(errors))]


class KLDivergence:
    """The range that loses least of the distribution of |x|: Migacz 2017, "8-bit Inference".

    For each number i of bins from the number of levels L to all 2048: P are the first i counts,
    those above added to the last; Q are the same first i counts, joined to L levels and spread
    again over the bins of P that were not empty. The range ends where KL(P || Q), of both
    normalized, is least. L is 2^(bits - 1): 128 of 8 bits.

    The first bin counts as the second does, as in NVIDIA's pytorch-quantization: it holds the
    zeros of a ReLU, often half of all values, which are exact in every range and say nothing of it.
    """

    counts = True

    def range(self, seen: Seen, grid: Grid) -> tuple[float, float]:
        sizes, levels = seen.sizes, 2 ** (grid.bits - 1)
        sizes[0] = sizes[1]
        best = int(np.argmin(_divergences(sizes, levels)))
        return _within(seen, (levels + best) / BINS * seen.limit)


def _divergences(sizes: np.ndarray, levels: int) -> np.ndarray:
    """KL(P || Q) for each number i of bins from so many levels to all, infinite where Q has none.

    All at once: P and Q are the same in each level of Q but for logarithms, so that sums over bins
    are differences of running sums at the levels' edges.
    """
    kept = np.arange(levels, len(sizes) + 1)
    edges = -(-kept[:, None] * np.arange(levels + 1) // levels)  # at k is level k L // i
    inside = _running(sizes)
    sums = np.diff(inside[edges], axis=1)
    bins = np.diff(_running(sizes > 0)[edges], axis=1)
    total, held = inside[-1], inside[kept]
    outliers, last = total - held, sizes[kept - 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_q = np.log(sums / bins / held[:, None])
        cross = np.where(sums > 0, sums * log_q, 0).sum(1) + _times(outliers, log_q[:, -1])
        own = _running(_log_times(sizes))[kept - 1] + _log_times(last + outliers)
        found = (own - cross) / total - np.log(total)
    return np.where((held == 0) | ((last == 0) & (outliers > 0)), np.inf, found)


def _running(values: np.ndarray) -> np.ndarray:
    """Sums of the first 0, 1, 2, ... values."""
    return np.concatenate([[0], np.cumsum(values)])


def _log_times(values: np.ndarray) -> np.ndarray:
    """v log v, 0 where v is."""
    return _times(values, np.log(np.where(values > 0, values, 1)))


def _times(values: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Products, 0 where the values are, whatever the factors."""
    return np.where(values > 0, values * factors, 0)


def quantized(values: np.ndarray, low: float, high: float, grid: Grid) -> np.ndarray:
    """Values as they are after they were rounded to a grid over this range."""
    scale, zero = scale_and_zero(low, high, grid)
    whole = np.clip(np.round(values / scale) + zero, grid.lowest, grid.highest)
    return (whole - zero) * scale


def scale_and_zero(low: float, high: float, grid: Grid) -> tuple[float, int]:
    """The step between two numbers of the grid, and the number that stands for 0.

    The range is widened to hold 0, which is then exact: paddings and the zeros of a ReLU stay.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if grid.symmetric:
        return max(-low, high) / grid.highest or 1.0, 0
    scale = (high - low) / (grid.highest - grid.lowest) or 1.0
    return scale, round(grid.lowest - low / scale)


def _even(seen: Seen, limit: float) -> tuple[float, float]:
    """From -limit to limit; from 0 where no value is negative."""
    return (-limit if seen.low < 0 else 0.0), limit


def _within(seen: Seen, limit: float) -> tuple[float, float]:
    """From -limit to limit, as far as values reach."""
    return max(seen.low, -limit), min(seen.high, limit)
