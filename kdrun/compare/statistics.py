"""What a few seeds or a test set allow to say of a difference: intervals, tests, corrections."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.t_distribution import t_quantile, two_sided_p


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


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def stdev(values: Sequence[float]) -> float:
    """The deviation of a sample of two or more, with n - 1; exactly 0 of equal values."""
    if min(values) == max(values):
        return 0.0
    center = mean(values)
    return math.sqrt(math.fsum((value - center) ** 2 for value in values) / (len(values) - 1))


def paired_p(differences: Sequence[float]) -> float:
    """The two-sided p of Student's paired t test: that differences as large come by chance.

    Args:
        differences: of two settings, seed by seed; two or more.
    """
    deviation = stdev(differences)
    if not deviation:
        return 1.0 if not mean(differences) else 0.0
    t = abs(mean(differences)) / (deviation / math.sqrt(len(differences)))
    return two_sided_p(t, len(differences) - 1)


def welch(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """Welch's t test (1947) of means whose values are not paired, nor spread alike.

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
    """The exact two-sided p of McNemar's test (1947): a fair coin decides who is right.

    Args:
        won: samples that only the one model has right.
        lost: samples that only the other has right.
    """
    n, ways, tail = won + lost, 1, 0
    for k in range(min(won, lost) + 1):
        tail += ways
        ways = ways * (n - k) // (k + 1)  # for the next k
    return min(1.0, 2 * tail / 2**n)


def holm(chances: Sequence[float]) -> list[float]:
    """The p values of several comparisons, raised so that all may be looked at: Holm 1979."""
    order = sorted(range(len(chances)), key=lambda at: chances[at])
    raised, least = [0.0] * len(chances), 0.0
    for rank, at in enumerate(order):
        least = max(least, min(1.0, (len(chances) - rank) * chances[at]))
        raised[at] = least
    return raised
