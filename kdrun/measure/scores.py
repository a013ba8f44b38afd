"""The scores of a network's predictions, one function for each score of classification.

Scores are computed in float64 from values of each sample, so they don't depend on the batch size.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

_BINS = 15  # bins of confidence, as in Guo et al. 2017


@dataclass(frozen=True)
class Samples:
    """The prediction for each sample.

    Attributes:
        num_classes: C, the number of classes.
        target: (N,) int64 labels.
        predicted: (N,) int64, the most probable class; of equally probable ones, the lowest.
        rank: (N,) the number of classes that are more probable than the target.
        nll: (N,) float64, negative log-likelihood of the target, in nats.
        confidence: (N,) float64, the probability of the predicted class.
    """

    num_classes: int
    target: np.ndarray
    predicted: np.ndarray
    rank: np.ndarray
    nll: np.ndarray
    confidence: np.ndarray

    @property
    def probability(self) -> np.ndarray:
        """(N,) float64, the probability of the target."""
        return np.exp(-self.nll)

    @property
    def correct(self) -> np.ndarray:
        """(N,) bool, whether the predicted class is the target."""
        return self.predicted == self.target

    @cached_property
    def targets_by_class(self) -> np.ndarray:
        """(C,) number of samples of each class."""
        return self._count(self.target)

    @cached_property
    def predictions_by_class(self) -> np.ndarray:
        """(C,) number of samples for which each class was predicted."""
        return self._count(self.predicted)

    @cached_property
    def hits_by_class(self) -> np.ndarray:
        """(C,) number of samples of each class that were predicted correctly."""
        return self._count(self.target[self.correct])

    def _count(self, classes: np.ndarray) -> np.ndarray:
        return np.bincount(classes, minlength=self.num_classes)


def accuracy(samples: Samples) -> float:
    """Return the share of samples whose most probable class is the target."""
    return float(np.mean(samples.correct))


def top5(samples: Samples) -> float:
    """Return the share of samples whose target is among the 5 most probable classes."""
    return float(np.mean(samples.rank < 5))


def precision(samples: Samples) -> float:
    """Return the mean over the classes of hits / predictions; 0 for a class never predicted.

    Precision, recall and F1 equal those of scikit-learn with
    `average="macro", labels=range(C), zero_division=0`.
    """
    return _macro(samples.hits_by_class, samples.predictions_by_class)


def recall(samples: Samples) -> float:
    """Return the mean over the classes of hits / samples; 0 for a class without samples."""
    return _macro(samples.hits_by_class, samples.targets_by_class)


def f1(samples: Samples) -> float:
    """Return the mean over the classes of 2 hits / (predictions + samples); 0 if both are 0."""
    totals = samples.predictions_by_class + samples.targets_by_class
    return _macro(2 * samples.hits_by_class, totals)


def nll(samples: Samples) -> float:
    """Return the mean negative log-likelihood of the targets, in nats."""
    return float(np.mean(samples.nll))


def ece(samples: Samples) -> float:
    """Return the expected calibration error with M = 15 equal bins (Guo et al. 2017, eq. 3).

    It is the mean gap between confidence and accuracy of the bins ((m - 1) / M, m / M], weighted
    by the number of samples.
    """
    edges = np.arange(1, _BINS) / _BINS
    bins = np.searchsorted(edges, samples.confidence, side="left")
    gaps = np.bincount(bins, weights=samples.correct - samples.confidence, minlength=_BINS)
    return float(np.sum(np.abs(gaps)) / len(samples.confidence))


def _macro(hits: np.ndarray, totals: np.ndarray) -> float:
    return float(np.mean(hits / np.maximum(totals, 1)))
