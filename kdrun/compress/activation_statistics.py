"""Collects statistics of an activation over the calibration samples: extremes, a histogram."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from kdrun.compress.quantization_grid import ValueRange
from kdrun.core.errors import UserError

BINS = 2048  # bins of the histogram's positive half


@dataclass
class ActivationStatistics:
    """Statistics of one activation.

    They need two passes over the samples. The first pass collects the extremes, which are the
    limits of the histogram that the second pass collects.

    Attributes:
        low: the lowest value.
        high: the highest value.
        batch_maxima: the largest absolute value of each batch.
        counts: (2 BINS,) histogram of the values, in bins of equal width from -limit to limit.
    """

    low: float = float("inf")
    high: float = float("-inf")
    batch_maxima: list[float] = field(default_factory=list)
    counts: np.ndarray = field(default_factory=lambda: np.zeros(2 * BINS))

    @property
    def limit(self) -> float:
        """The largest absolute value."""
        return max(self.batch_maxima)

    @property
    def edges(self) -> np.ndarray:
        """(2 BINS + 1,) the edges of the histogram's bins."""
        return np.linspace(-self.limit, self.limit, 2 * BINS + 1)

    @property
    def magnitude_counts(self) -> np.ndarray:
        """(BINS,) histogram of the absolute values, in bins of equal width from 0 to limit."""
        return self.counts[BINS:] + self.counts[:BINS][::-1]

    def update_extremes(self, values: Tensor) -> None:
        """Add a batch to the extremes.

        Raises:
            UserError: a value is not finite.
        """
        low, high = (extreme.item() for extreme in torch.aminmax(values.detach().float()))
        if not np.isfinite([low, high]).all():
            raise UserError("a value of the calibration set is not a finite number.")
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.batch_maxima.append(max(-low, high, 0.0))

    def update_histogram(self, values: Tensor) -> None:
        """Add a batch to the histogram, after the extremes of all batches are known."""
        if self.limit:
            counts = torch.histc(values.detach().float(), 2 * BINS, -self.limit, self.limit)
            self.counts += counts.double().cpu().numpy()

    def clip(self, limit: float) -> ValueRange:
        """Return the range of the values, clipped at -limit and limit."""
        return ValueRange(max(self.low, -limit), min(self.high, limit))

    def symmetric_range(self, limit: float) -> ValueRange:
        """Return the range from -limit to limit; from 0 to limit if no value is negative."""
        return ValueRange(-limit if self.low < 0 else 0.0, limit)
