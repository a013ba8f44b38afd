"""The scores of a network's predictions, one function for each line of `core.metrics.SCORES`.

Each is computed from numbers that are kept per sample, in float64: how the samples were put into
batches changes none of them.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_BINS = 15  # of confidence, as in Guo et al. 2017


@dataclass(frozen=True)
class Samples:
    """What is known of each sample that was predicted.

    Attributes:
        num_classes: C.
        target: (N,) int64 labels.
        predicted: (N,) int64, the most probable class; the lower one of equals.
        rank: (N,) how many classes are more probable than the target.
        nll: (N,) float64, negative log-likelihood of the target, in nats.
        confidence: (N,) float64, probability of the predicted class.
    """

    num_classes: int
    target: np.ndarray
    predicted: np.ndarray
    rank: np.ndarray
    nll: np.ndarray
    confidence: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        """(N,) bool."""
        return self.predicted == self.target

    @cached_property
    def targets_by_class(self) -> np.ndarray:
        """(C,) samples of each class."""
        return self._count(self.target)

    @cached_property
    def predictions_by_class(self) -> np.ndarray:
        """(C,) samples that each class was predicted for."""
        return self._count(self.predicted)

    @cached_property
    def hits_by_class(self) -> np.ndarray:
        """(C,) samples of each class that were predicted correctly."""
        return self._count(self.target[self.correct])

    def _count(self, classes: np.ndarray) -> np.ndarray:
        return np.bincount(classes, minlength=self.num_classes)


def accuracy(samples: Samples) -> float:
    """Share of samples whose most probable class is the target."""
    return float(np.mean(samples.correct))


def top5(samples: Samples) -> float:
    """Share of samples whose target is among the 5 most probable classes; 1 for C <= 5."""
    return float(np.mean(samples.rank < 5))


def precision(samples: Samples) -> float:
    """Mean over the classes of hits / predictions; 0 for a class that was never predicted.

    As scikit-learn's `average="macro", labels=range(C), zero_division=0`; so recall and F1.
    """
    return _macro(samples.hits_by_class, samples.predictions_by_class)


def recall(samples: Samples) -> float:
    """Mean over the classes of hits / samples; 0 for a class without samples."""
    return _macro(samples.hits_by_class, samples.targets_by_class)


def f1(samples: Samples) -> float:
    """Mean over the classes of 2 hits / (predictions + samples); 0 where both are 0."""
    both = samples.predictions_by_class + samples.targets_by_class
    return _macro(2 * samples.hits_by_class, both)


def nll(samples: Samples) -> float:
    """Mean negative log-likelihood of the targets, in nats."""
    return float(np.mean(samples.nll))


def ece(samples: Samples) -> float:
    """Expected calibration error with 15 equal bins (Guo et al. 2017, eq. 3).

    The gap between confidence and accuracy in each bin ((m - 1) / M, m / M], weighted by size.
    """
    edges = np.arange(1, _BINS) / _BINS
    bins = np.searchsorted(edges, samples.confidence, side="left")
    gaps = np.bincount(bins, weights=samples.correct - samples.confidence, minlength=_BINS)
    return float(np.sum(np.abs(gaps)) / len(samples.confidence))


def _macro(hits: np.ndarray, totals: np.ndarray) -> float:
    return float(np.mean(hits / np.maximum(totals, 1)))
