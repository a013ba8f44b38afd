"""Means, intervals, tests and corrections for values of a few seeds or of a test set."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.t_distribution import t_quantile, two_sided_p


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        n: the number of values.
        mean: the mean of the values.
        deviation: the standard deviation, with n - 1; None for one value.
        low: the lower end of the 95 % interval by Student's t; None for one value.
        high: the upper end of that interval; None for one value.
    """

    n: int
    mean: float
    deviation: float | None
    low: float | None
    high: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The ends of the 95 % interval; None for one value."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of independent values with its interval.

    Raises:
        ValueError: `values` is empty.
    """
    if not values:
        raise ValueError("a mean of no values")
    center = mean(values)
    if len(values) == 1:
        return Estimate(1, center, None, None, None)
    deviation = stdev(values)
    half_width = t_quantile(len(values) - 1) * deviation / math.sqrt(len(values))
    return Estimate(len(values), center, deviation, center - half_width, center + half_width)


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def stdev(values: Sequence[float]) -> float:
    """Return the standard deviation of two or more values, with n - 1; 0.0 if all are equal."""
    if min(values) == max(values):
        return 0.0
    center = mean(values)
    return math.sqrt(math.fsum((value - center) ** 2 for value in values) / (len(values) - 1))


def paired_p(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of Student's paired t test.

    Args:
        differences: the differences of two or more pairs.
    """
    deviation = stdev(differences)
    if not deviation:
        return 1.0 if not mean(differences) else 0.0
    t = abs(mean(differences)) / (deviation / math.sqrt(len(differences)))
    return two_sided_p(t, len(differences) - 1)


def welch(first: Sequence[float], second: Sequence[float]) -> tuple[float, float, float]:
    """Return the result of Welch's t test (1947), for unpaired values of unequal variance.

    Args:
        first: two or more values; those of `first` or those of `second` must vary.
        second: two or more values.

    Returns:
        The lower and the upper end of the 95 % interval of the difference of means, and the
        two-sided p-value.
    """
    squared_errors = [stdev(values) ** 2 / len(values) for values in (first, second)]
    error = math.sqrt(sum(squared_errors))
    freedom = error**4 / sum(
        squared**2 / (len(values) - 1)
        for squared, values in zip(squared_errors, (first, second), strict=True)
    )
    difference = mean(first) - mean(second)
    half_width = t_quantile(freedom) * error
    p = two_sided_p(abs(difference) / error, freedom)
    return difference - half_width, difference + half_width, p


def mcnemar_p(won: int, lost: int) -> float:
    """Return the exact two-sided p-value of McNemar's test (1947).

    Args:
        won: samples that only the first model predicts correctly.
        lost: samples that only the second model predicts correctly.
    """
    n, ways, tail = won + lost, 1, 0
    for k in range(min(won, lost) + 1):
        tail += ways
        ways = ways * (n - k) // (k + 1)  # for the next k
    return min(1.0, 2 * tail / 2**n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values of several tests, corrected by Holm's method (1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected, lower_bound = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        lower_bound = max(lower_bound, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = lower_bound
    return corrected
