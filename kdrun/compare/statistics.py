"""Means, intervals, tests and corrections for values of a few seeds or of a test set."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.t_distribution import t_quantile, two_sided_p


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        n: how many values there are.
        mean: of the values.
        deviation: standard deviation with n - 1; None for one value.
        low: lower end of the 95 % interval by Student's t; None for one value.
        high: upper end.
    """

    n: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of independent values with its interval.

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


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def stdev(values: Sequence[float]) -> float:
    """Return the deviation of two or more values, with n - 1; exactly 0 if all are equal."""
    if min(values) == max(values):
        return 0.0
    center = mean(values)
    return math.sqrt(math.fsum((value - center) ** 2 for value in values) / (len(values) - 1))


def paired_p(differences: Sequence[float]) -> float:
    """Return the two-sided p of Student's paired t test.

    Args:
        differences: of two settings, seed by seed; two or more.
    """
    deviation = stdev(differences)
    if not deviation:
        return 1.0 if not mean(differences) else 0.0
    t = abs(mean(differences)) / (deviation / math.sqrt(len(differences)))
    return two_sided_p(t, len(differences) - 1)


def welch(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """Return the result of Welch's t test (1947): unpaired values of unequal variance.

    Args:
        first: two or more values, not all the same on both sides.
        second: the same.

    Returns:
        The 95 % interval of the difference of means, and the two-sided p.
    """
    shares = [stdev(values) ** 2 / len(values) for values in (first, second)]
    error = math.sqrt(sum(shares))
    parts = zip(shares, (first, second), strict=True)
    freedom = error**4 / sum(share**2 / (len(values) - 1) for share, values in parts)
    difference = mean(first) - mean(second)
    half = t_quantile(freedom) * error
    return difference - half, difference + half, two_sided_p(abs(difference) / error, freedom)


def mcnemar_p(won: int, lost: int) -> float:
    """Return the exact two-sided p of McNemar's test (1947).

    Args:
        won: samples that only the first model predicts correctly.
        lost: samples that only the second model predicts correctly.
    """
    n, ways, tail = won + lost, 1, 0
    for k in range(min(won, lost) + 1):
        tail += ways
        ways = ways * (n - k) // (k + 1)  # for the next k
    return min(1.0, 2 * tail / 2**n)


def holm(chances: Sequence[float]) -> list[float]:
    """Return the p values of several tests, corrected by Holm's method (1979)."""
    order = sorted(range(len(chances)), key=lambda at: chances[at])
    raised, least = [0.0] * len(chances), 0.0
    for rank, at in enumerate(order):
        least = max(least, min(1.0, (len(chances) - rank) * chances[at]))
        raised[at] = least
    return raised
