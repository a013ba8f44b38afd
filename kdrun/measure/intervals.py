"""Intervals of accuracies from the number of test samples alone, without the noise of training."""

import math
from typing import NamedTuple

import numpy as np

from kdrun.measure.scores import Samples

_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution, for 95 % two-sided


class Interval(NamedTuple):
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


def accuracy_interval(accuracy: float, n: int) -> Interval:
    """Return Wilson's score interval (1927) of an accuracy on `n` samples.

    It is valid for accuracies of 0 and 1, too.
    """
    weight = 1 + _Z**2 / n
    center = (accuracy + _Z**2 / (2 * n)) / weight
    margin = _Z / weight * math.sqrt(accuracy * (1 - accuracy) / n + _Z**2 / (4 * n**2))
    return Interval(accuracy, max(0.0, center - margin), min(1.0, center + margin))


def half_width(accuracy: float, n: int) -> float:
    """Return the distance of an accuracy to the farther end of its Wilson interval."""
    interval = accuracy_interval(accuracy, n)
    return max(accuracy - interval.low, interval.high - accuracy)


def gain_interval(correct: np.ndarray, correct_before: np.ndarray) -> Interval:
    """Return the difference of two models' accuracies on the same samples, with its interval.

    The interval is that of Bonett and Price (2012), as Fagerland, Lydersen and Laake (2014,
    Statistics in Medicine 33, section 4) recommend it. With b samples that only the first model
    predicts correctly and c samples that only the second one does,
    p = (b + 1) / (n + 2), q = (c + 1) / (n + 2),
    p - q +- z sqrt((p + q - (p - q)^2) / (n + 2)).
    Its width is not 0 even if the two models agree on every sample.

    Args:
        correct: (n,) bool, whether the first model predicts each sample correctly.
        correct_before: (n,) bool, the same for the second model; samples in the same order.
    """
    n = len(correct)
    won = int(np.sum(correct & ~correct_before))
    lost = int(np.sum(~correct & correct_before))
    p, q = (won + 1) / (n + 2), (lost + 1) / (n + 2)
    margin = _Z * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    low, high = max(-1.0, p - q - margin), min(1.0, p - q + margin)
    return Interval((won - lost) / n, low, high)


def gain_of_predictions(predictions: Samples, predictions_before: Samples) -> Interval:
    """Return the difference of two models' accuracies; see `gain_interval`.

    Args:
        predictions: those of the first model.
        predictions_before: those of the second model for the same samples.
    """
    return gain_interval(predictions.correct, predictions_before.correct)
