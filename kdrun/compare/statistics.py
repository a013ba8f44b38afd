"""What a few seeds or a test set allow to say of a difference: intervals, tests, corrections."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import mean, stdev

import numpy as np

_SHARE = 0.95  # of repetitions whose interval holds the true value
_HALVINGS = 200  # of the range of a quantile: to the last bit


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        n: how many values there are.
        mean: theirs.
        deviation: of the sample, with n - 1; None of one value.
        low: of the 95 % interval by Student's t; None of one value.
        high: its other end.
    """

    n: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of independent values with its interval.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("a mean of no values")
    center = mean(values)
    if len(values) == 1:
        return Estimate(1, center, None, None, None)
    deviation = stdev(values)
    half = t_quantile(len(values) - 1) * deviation / math.sqrt(len(values))
    return Estimate(len(values), center, deviation, center - half, center + half)


def paired_p(differences: Sequence[float]) -> float:
    """The two-sided p of Student's paired t test: that differences as large come by chance.

    Args:
        differences: of two settings, seed by seed; two or more.
    """
    deviation = stdev(differences)
    if not deviation:
        return 1.0 if not mean(differences) else 0.0
    t = abs(mean(differences)) / (deviation / math.sqrt(len(differences)))
    return 1 - _within(t, len(differences) - 1)


def mcnemar_p(won: int, lost: int) -> float:
    """The exact two-sided p of McNemar's test (1947): a fair coin decides who is right.

    Args:
        won: samples that only the one model has right.
        lost: samples that only the other has right.
    """
    n, least = won + lost, min(won, lost)
    tail = sum(math.comb(n, k) for k in range(least + 1))
    return min(1.0, 2 * tail / 2**n)


def bootstrap(differences: np.ndarray, seed: int, draws: int = 2000) -> tuple[float, float]:
    """The 95 % interval of the mean by Efron's percentiles (1979): of samples drawn anew.

    Args:
        differences: (n,) of two models, sample by sample.
        seed: the same draws for the same seed.
        draws: how often n are drawn with replacement.
    """
    generator = np.random.default_rng(seed)
    # Of few values that differ: how often each is drawn says all.
    values, counts = np.unique(differences, return_counts=True)
    drawn = generator.multinomial(len(differences), counts / len(differences), size=draws)
    means = drawn @ values / len(differences)
    low, high = np.quantile(means, [(1 - _SHARE) / 2, (1 + _SHARE) / 2])
    return float(low), float(high)


def holm(chances: Sequence[float]) -> list[float]:
    """The p values of several comparisons, raised so that all may be looked at: Holm 1979."""
    order = sorted(range(len(chances)), key=lambda at: chances[at])
    raised, least = [0.0] * len(chances), 0.0
    for rank, at in enumerate(order):
        least = max(least, min(1.0, (len(chances) - rank) * chances[at]))
        raised[at] = least
    return raised


@cache
def t_quantile(freedom: int) -> float:
    """How far from 0 a number of Student's distribution is with a chance of 5 % at most."""
    low, high = 0.0, 1e4
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < _SHARE else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """The share of Student's distribution between -t and t, in closed form.

    Abramowitz and Stegun 1964, 26.7.3 and 26.7.4: importing a library for it takes longer than all
    else that a comparison does.
    """
    angle = math.atan(t / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term = cosine if odd else 1.0
    total = 0.0 if freedom == 1 else term
    for k in range(2 if odd else 1, freedom - 1, 2):
        term *= k / (k + 1) * cosine**2
        total += term
    share = math.sin(angle) * total
    return 2 / math.pi * (angle + share) if odd else share
