"""Student's t distribution: two-sided p and quantile."""

import math
from functools import cache

SHARE = 0.95  # of repetitions whose interval holds the true value
_HALVINGS = 200  # of the range of a quantile: to the last bit
_TERMS = 1000  # of a continued fraction; a few dozen are enough


@cache
def t_quantile(freedom: float) -> float:
    """Return the t whose two-sided p is 5 %."""
    low, high = 0.0, 1e4
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_p(middle, freedom) > 1 - SHARE else (low, middle)
    return high


def two_sided_p(t: float, freedom: float) -> float:
    """Return the probability of |T| > t.

    Abramowitz and Stegun 1964, 26.7.1: by the incomplete beta function. Importing a library
    for it takes longer than the whole comparison.
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
