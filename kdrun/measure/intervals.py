"""How much the size of a test set alone leaves open; the noise of training is not in here."""

import math
from typing import NamedTuple

import numpy as np

_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution: 95 % on both sides


class Interval(NamedTuple):
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float


def accuracy_interval(accuracy: float, n: int) -> Interval:
    """Wilson's score interval (1927) for a share of `n` samples; honest also at 0 and at 1."""
    weight = 1 + _Z**2 / n
    center = (accuracy + _Z**2 / (2 * n)) / weight
    half = _Z / weight * math.sqrt(accuracy * (1 - accuracy) / n + _Z**2 / (4 * n**2))
    return Interval(accuracy, max(0.0, center - half), min(1.0, center + half))


def half_width(accuracy: float, n: int) -> float:
    """The plus-minus of an accuracy: the distance to the farther end of Wilson's interval."""
    interval = accuracy_interval(accuracy, n)
    return max(accuracy - interval.low, interval.high - accuracy)


def gain_interval(correct: np.ndarray, correct_before: np.ndarray) -> Interval:
    """How much more accurate one model is than another on the same samples.

    Only the samples on which exactly one of the two is right tell them apart. The interval is
    the one of Bonett and Price (2012), as Fagerland, Lydersen and Laake (2014, Statistics in
    Medicine 33, section 4) recommend it: with b and c such samples,
    p = (b + 1) / (n + 2), q = (c + 1) / (n + 2),
    p - q +- z sqrt((p + q - (p - q)^2) / (n + 2)).
    It has a width also where the two models agree on every sample.

    Args:
        correct: (n,) bool, whether the one model is right.
        correct_before: (n,) bool, the other model on the same samples in the same order.
    """
    n = len(correct)
    won = int(np.sum(correct & ~correct_before))
    lost = int(np.sum(~correct & correct_before))
    p, q = (won + 1) / (n + 2), (lost + 1) / (n + 2)
    half = _Z * math.sqrt((p + q - (p - q) ** 2) / (n + 2))
    low, high = max(-1.0, p - q - half), min(1.0, p - q + half)
    return Interval((won - lost) / n, low, high)
