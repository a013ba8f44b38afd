"""Student's t distribution: two-sided p-values and quantiles."""

import math
from functools import cache

SHARE = 0.95  # share of repetitions whose interval contains the true value
_HALVINGS = 200  # bisection steps for a quantile, which make it exact to the last bit
_TERMS = 1000  # most terms of the continued fraction; a few dozen are enough


@cache
def t_quantile(freedom: float) -> float:
    """Return the t whose two-sided p-value is 5 %, for given degrees of freedom."""
    low, high = 0.0, 1e4
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_p(middle, freedom) > 1 - SHARE else (low, middle)
    return high


def two_sided_p(t: float, freedom: float) -> float:
    """Return the probability of |T| > t, for given degrees of freedom.

    It is an incomplete beta function (Abramowitz and Stegun 1964, 26.7.1), computed here, as
    importing a library for it would take longer than the whole comparison.
    """
    x, one_minus_x = freedom / (freedom + t * t), t * t / (freedom + t * t)
    if not one_minus_x:
        return 1.0
    a, b = freedom / 2, 0.5
    factor = math.exp(
        math.lgamma(a + b)
        - math.lgamma(a)
        - math.lgamma(b)
        + a * math.log(x)
        + b * math.log(one_minus_x)
    )
    if x < (a + 1) / (a + b + 2):
        return factor * _fraction(x, a, b) / a
    return 1 - factor * _fraction(one_minus_x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function (ibid., 26.5.8).

    The recurrence computes numerators and denominators, which are scaled so that the last
    denominator is 1.
    """
    numerator, denominator, value = 1.0, 1.0, 1.0
    last_numerator, last_denominator = 1.0, 0.0
    for k in range(1, _TERMS):
        m = k // 2
        if k % 2:
            term = -(a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1)) * x
        else:
            term = m * (b - m) / ((a + 2 * m - 1) * (a + 2 * m)) * x
        numerator, last_numerator = numerator + term * last_numerator, numerator
        denominator, last_denominator = denominator + term * last_denominator, denominator
        numerator, last_numerator = numerator / denominator, last_numerator / denominator
        denominator, last_denominator = 1.0, last_denominator / denominator
        if abs(numerator - value) < 1e-15 * abs(numerator):
            break
        value = numerator
    return 1 / numerator
