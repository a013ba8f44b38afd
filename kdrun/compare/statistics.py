"""What a few seeds or a test set allow to say of a difference: intervals, tests, corrections."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, combinations_with_replacement
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_SHARE = 0.95  # of repetitions whose interval holds the true value
_HALVINGS = 200  # of the range of a quantile: to the last bit
_COUNTED = 6  # values whose samples are counted, all 462 of them
_TERMS = 1000  # of a continued fraction; a few dozen are enough


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
    return _beyond(t, len(differences) - 1)


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
    return difference - half, difference + half, _beyond(abs(difference) / error, freedom)


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


def bootstrap(
    differences: "Sequence[float] | np.ndarray", seed: int, draws: int = 2000
) -> tuple[float, float]:
    """The 95 % interval of the mean by Efron's percentiles (1979): of samples drawn anew.

    Of few values all samples that can be drawn are counted, rather than some drawn.

    Args:
        differences: (n,) of two models, sample by sample or seed by seed.
        seed: the same draws for the same seed.
        draws: how often n are drawn with replacement.
    """
    if len(differences) <= _COUNTED:
        return _counted([float(value) for value in differences])
    import numpy as np  # which takes longer to load than all else

    return _percentiles(_means(differences, np.random.default_rng(seed), draws))


def bootstrap_of_two(
    first: Sequence[float], second: Sequence[float], seed: int, draws: int = 2000
) -> tuple[float, float]:
    """The same of the difference of means of values that are not paired."""
    import numpy as np

    generator = np.random.default_rng(seed)
    return _percentiles(_means(first, generator, draws) - _means(second, generator, draws))


def _counted(values: Sequence[float]) -> tuple[float, float]:
    """The percentiles of the means of all samples: where 2.5 % of them are below, and above."""
    means = sorted(
        (mean([values[at] for at in sample]), share) for sample, share in _samples(len(values))
    )
    ends = []
    for ordered in (means, means[::-1]):
        below = accumulate(share for _, share in ordered)
        ends.append(next(at for at, share in enumerate(below) if share > (1 - _SHARE) / 2))
    return means[ends[0]][0], means[::-1][ends[1]][0]


@cache
def _samples(size: int) -> list[tuple[tuple[int, ...], float]]:
    """Which of so many values can be drawn together, in any order, and the chance of each."""
    ways = math.factorial(size) / size**size
    return [
        (drawn, ways / math.prod(math.factorial(drawn.count(at)) for at in set(drawn)))
        for drawn in combinations_with_replacement(range(size), size)
    ]


def _means(
    values: "Sequence[float] | np.ndarray", generator: "np.random.Generator", draws: int
) -> "np.ndarray":
    """(draws,) means of the values drawn anew; how often each is drawn says all."""
    import numpy as np

    different, counts = np.unique(values, return_counts=True)
    drawn = generator.multinomial(len(values), counts / len(values), size=draws)
    means: np.ndarray = drawn @ different / len(values)
    return means


def _percentiles(means: "np.ndarray") -> tuple[float, float]:
    import numpy as np

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
def t_quantile(freedom: float) -> float:
    """How far from 0 a number of Student's distribution is with a chance of 5 % at most."""
    low, high = 0.0, 1e4
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _beyond(middle, freedom) > 1 - _SHARE else (low, middle)
    return high


def _beyond(t: float, freedom: float) -> float:
    """The chance that a number of Student's distribution is farther from 0 than t.

    Abramowitz and Stegun 1964, 26.7.1: by the incomplete beta function. Importing a library for it
    takes longer than all else that a comparison does.
    """
    share, rest = freedom / (freedom + t * t), t * t / (freedom + t * t)
    if not rest:
        return 1.0
    a, b = freedom / 2, 0.5
    front = math.exp(
        math.lgamma(a + b)
        - math.lgamma(a)
        - math.lgamma(b)
        + a * math.log(share)
        + b * math.log(rest)
    )
    if share < (a + 1) / (a + b + 2):
        return front * _fraction(share, a, b) / a
    return 1 - front * _fraction(rest, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, 26.5.8 of the same, from its front.

    Numerators and denominators by their recurrence, scaled to the last denominator.
    """
    above, below, value = 1.0, 1.0, 1.0
    before_above, before_below = 1.0, 0.0
    for k in range(1, _TERMS):
        m = k // 2
        if k % 2:
            term = -(a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1)) * x
        else:
            term = m * (b - m) / ((a + 2 * m - 1) * (a + 2 * m)) * x
        above, before_above = above + term * before_above, above
        below, before_below = below + term * before_below, below
        above, before_above = above / below, before_above / below
        below, before_below = 1.0, before_below / below
        if abs(above - value) < 1e-15 * abs(above):
            break
        value = above
    return 1 / above
