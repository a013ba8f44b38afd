"""Bootstrap intervals of means."""

import math
from collections.abc import Sequence
from functools import cache
from itertools import accumulate, combinations_with_replacement
from typing import TYPE_CHECKING

from kdrun.compare.t_distribution import SHARE

if TYPE_CHECKING:
    import numpy as np

_MAX_ENUMERATED = 6  # values: 462 samples


def bootstrap(
    differences: "Sequence[float] | np.ndarray", seed: int, draws: int = 2000
) -> tuple[float, float]:
    """Return the 95 % interval of the mean by Efron's percentile bootstrap (1979).

    For few values, all samples that can be drawn are enumerated in place of random ones.

    Args:
        differences: (n,) of two models, sample by sample or seed by seed.
        seed: the same draws for the same seed.
        draws: how often n are drawn with replacement.
    """
    if len(differences) <= _MAX_ENUMERATED:
        return _enumerated([float(value) for value in differences])
    import numpy as np  # which takes longer to load than all else

    return _percentiles(_means(differences, np.random.default_rng(seed), draws))


def bootstrap_of_two(
    first: Sequence[float], second: Sequence[float], seed: int, draws: int = 2000
) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two means of unpaired values."""
    import numpy as np

    generator = np.random.default_rng(seed)
    return _percentiles(_means(first, generator, draws) - _means(second, generator, draws))


def _enumerated(values: Sequence[float]) -> tuple[float, float]:
    """Return the percentiles of the means of all samples: 2.5 % are below, and 2.5 % above."""
    size = len(values)
    means = sorted(
        (math.fsum(values[at] for at in drawn) / size, share) for drawn, share in _samples(size)
    )
    ends = []
    for ordered in (means, means[::-1]):
        below = accumulate(share for _, share in ordered)
        ends.append(next(at for at, share in enumerate(below) if share > (1 - SHARE) / 2))
    return means[ends[0]][0], means[::-1][ends[1]][0]


@cache
def _samples(size: int) -> list[tuple[tuple[int, ...], float]]:
    """Return the samples that can be drawn from so many values, each with its probability."""
    ways = math.factorial(size) / size**size
    return [
        (drawn, ways / math.prod(math.factorial(drawn.count(at)) for at in set(drawn)))
        for drawn in combinations_with_replacement(range(size), size)
    ]


def _means(
    values: "Sequence[float] | np.ndarray", generator: "np.random.Generator", draws: int
) -> "np.ndarray":
    """Return (draws,) means of random samples, drawn as counts of the different values."""
    import numpy as np

    different, counts = np.unique(values, return_counts=True)
    drawn = generator.multinomial(len(values), counts / len(values), size=draws)
    means: np.ndarray = drawn @ different / len(values)
    return means


def _percentiles(means: "np.ndarray") -> tuple[float, float]:
    import numpy as np

    low, high = np.quantile(means, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return float(low), float(high)
