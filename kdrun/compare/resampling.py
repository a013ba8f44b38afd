"""Bootstrap intervals of means."""

import math
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, combinations_with_replacement
from typing import TYPE_CHECKING, NamedTuple

from kdrun.compare.t_distribution import SHARE

if TYPE_CHECKING:
    import numpy as np

_MAX_ENUMERATED = 6  # values; 462 different samples can be drawn from them


def bootstrap(
    differences: "Sequence[float] | np.ndarray", seed: int, draws: int = 2000
) -> tuple[float, float]:
    """Return the 95 % interval of the mean by Efron's percentile bootstrap (1979).

    For few values, all possible samples are enumerated instead of drawing random ones.

    Args:
        differences: (n,) differences between two models, for each sample or each seed.
        seed: the seed of the random samples.
        draws: the number of random samples, each of n values drawn with replacement.
    """
    if len(differences) <= _MAX_ENUMERATED:
        return _enumerated([float(value) for value in differences])
    import numpy as np  # imported late, as it takes longer to load than all else

    return _percentiles(_means(differences, np.random.default_rng(seed), draws))


def bootstrap_of_two(
    first: Sequence[float], second: Sequence[float], seed: int, draws: int = 2000
) -> tuple[float, float]:
    """Return the bootstrap's 95 % interval of the difference of two means of unpaired values."""
    import numpy as np

    generator = np.random.default_rng(seed)
    return _percentiles(_means(first, generator, draws) - _means(second, generator, draws))


def _enumerated(values: Sequence[float]) -> tuple[float, float]:
    """Return the 2.5 % and the 97.5 % percentile of the means of all samples."""
    size = len(values)
    means = sorted(
        (math.fsum(values[index] for index in sample.indices) / size, sample.probability)
        for sample in _samples(size)
    )
    return _tail_quantile(means), _tail_quantile(means[::-1])


def _tail_quantile(means: Sequence[tuple[float, float]]) -> float:
    """Return the first mean at which the sum of probabilities exceeds 2.5 %.

    Args:
        means: means with their probabilities, in ascending or descending order.
    """
    sums = accumulate(probability for _, probability in means)
    return next(
        mean for (mean, _), total in zip(means, sums, strict=True) if total > (1 - SHARE) / 2
    )


class _Sample(NamedTuple):
    """A sample drawn with replacement.

    Attributes:
        indices: the indices of the drawn values, in ascending order.
        probability: the probability to draw these in any order.
    """

    indices: tuple[int, ...]
    probability: float


@cache
def _samples(size: int) -> list[_Sample]:
    """Return all samples of `size` values that can be drawn from `size` values."""
    ways = math.factorial(size) / size**size
    return [
        _Sample(
            indices,
            ways / math.prod(math.factorial(indices.count(index)) for index in set(indices)),
        )
        for indices in combinations_with_replacement(range(size), size)
    ]


def _means(
    values: "Sequence[float] | np.ndarray", generator: "np.random.Generator", draws: int
) -> "np.ndarray":
    """Return (draws,) means of random samples.

    A sample is drawn as the counts of the distinct values, which is equivalent and faster.
    """
    import numpy as np

    distinct, counts = np.unique(values, return_counts=True)
    sample_counts = generator.multinomial(len(values), counts / len(values), size=draws)
    means: np.ndarray = sample_counts @ distinct / len(values)
    return means


def _percentiles(means: "np.ndarray") -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(means, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return float(low), float(high)
