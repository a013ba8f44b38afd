"""Calibrators: rules that choose the range in which an activation is quantized."""

from typing import Protocol

import numpy as np

from kdrun.compress.activation_statistics import BINS, ActivationStatistics
from kdrun.compress.kl_divergence import kl_divergences
from kdrun.compress.quantization_grid import QuantizationGrid, ValueRange, quantize_dequantize
from kdrun.core.ranges import Percent, UnitBelowOne

_CANDIDATES = 128  # ranges that `MeanSquaredError` compares

CALIBRATORS = {
    "minmax": "kdrun.compress.calibrators:MinMax",
    "cumulative_max": "kdrun.compress.calibrators:CumulativeMax",
    "moving_max": "kdrun.compress.calibrators:MovingMax",
    "percentile": "kdrun.compress.calibrators:Percentile",
    "mse": "kdrun.compress.calibrators:MeanSquaredError",
    "kl": "kdrun.compress.calibrators:KLDivergence",
}


class Calibrator(Protocol):
    """Chooses the range of an activation. Values outside of it are clipped.

    The keyword arguments of its constructor are the keys of its config node.

    Attributes:
        needs_histogram: whether `range` reads the histogram, which takes a second pass over the
            calibration samples.
    """

    needs_histogram: bool

    def range(self, statistics: ActivationStatistics, grid: QuantizationGrid) -> ValueRange:
        """Return the range outside of which values are clipped.

        Args:
            statistics: statistics of the activation over the calibration samples.
            grid: the integers that the activation is rounded to.
        """
        ...


class MinMax:
    """The range from the lowest value to the highest: nothing is clipped."""

    needs_histogram = False

    def range(self, statistics: ActivationStatistics, grid: QuantizationGrid) -> ValueRange:
        return ValueRange(statistics.low, statistics.high)


class CumulativeMax:
    """The range from -m to m with m = max |x|, or from 0 to m if no value is negative."""

    needs_histogram = False

    def range(self, statistics: ActivationStatistics, grid: QuantizationGrid) -> ValueRange:
        return statistics.symmetric_range(statistics.limit)


class MovingMax:
    """The range of `CumulativeMax`, with m a moving average of the batches' maxima.

    m_1 = max |x_1|, m_k = momentum m_(k-1) + (1 - momentum) max |x_k| for batches k = 2, 3, ...:
    Jacob et al. 2018 (arXiv:1712.05877), section 3.1.

    Args:
        momentum: weight of the average so far.
    """

    needs_histogram = False

    def __init__(self, momentum: UnitBelowOne) -> None:
        self.momentum = momentum

    def range(self, statistics: ActivationStatistics, grid: QuantizationGrid) -> ValueRange:
        average = statistics.batch_maxima[0]
        for maximum in statistics.batch_maxima[1:]:
            average = self.momentum * average + (1 - self.momentum) * maximum
        return statistics.symmetric_range(average)


class Percentile:
    """The range that holds a percentage of the values; the rest is clipped, half at each end.

    Args:
        percentile: percentage of the values that the range holds.
    """

    needs_histogram = True

    def __init__(self, percentile: Percent) -> None:
        self.percentile = percentile

    def range(self, statistics: ActivationStatistics, grid: QuantizationGrid) -> ValueRange:
        cumulative, edges = np.cumsum(statistics.counts), statistics.edges
        total = cumulative[-1]
        tail = (100 - self.percentile) / 200 * total  # values clipped at each end
        low = edges[np.searchsorted(cumulative, tail, side="right")]
        high = edges[np.searchsorted(cumulative, total - tail, side="left") + 1]
        return ValueRange(max(statistics.low, float(low)), min(statistics.high, float(high)))


class MeanSquaredError:
    """The range with the smallest mean squared error between values and quantized values.

    It compares 128 ranges: the values' range clipped at k / 128 of max |x|, for k = 1 to 128. The
    error is computed from the histogram, in which the middle of a bin represents its values.
    """

    needs_histogram = True

    def range(self, statistics: ActivationStatistics, grid: QuantizationGrid) -> ValueRange:
        edges = statistics.edges
        middles = (edges[1:] + edges[:-1]) / 2
        limits = statistics.limit * np.arange(1, _CANDIDATES + 1) / _CANDIDATES
        candidates = [statistics.clip(float(limit)) for limit in limits]
        errors = [
            statistics.counts @ (quantize_dequantize(middles, candidate, grid) - middles) ** 2
            for candidate in candidates
        ]
        return candidates[int(np.argmin(errors))]


class KLDivergence:
    """The range whose quantized distribution of |x| has the least KL divergence.

    Migacz 2017, "8-bit Inference with TensorRT": see `kl_divergences`, here with 2048 bins and
    2^(bits - 1) levels, 128 for 8 bits.

    As in NVIDIA's pytorch-quantization, the first bin's count is replaced by the second's. The
    first bin holds the zeros of a ReLU, often half of all values. They are exact in every range,
    so they must not influence which one is chosen.
    """

    needs_histogram = True

    def range(self, statistics: ActivationStatistics, grid: QuantizationGrid) -> ValueRange:
        counts, levels = statistics.magnitude_counts, 2 ** (grid.bits - 1)
        counts[0] = counts[1]
        kept_bins = levels + int(np.argmin(kl_divergences(counts, levels)))
        return statistics.clip(kept_bins / BINS * statistics.limit)
