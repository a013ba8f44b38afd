"""Computes the KL divergence of a histogram and its quantized form, for each clipping limit.

Migacz 2017, "8-bit Inference with TensorRT".
"""

import numpy as np


def kl_divergences(counts: np.ndarray, levels: int) -> np.ndarray:
    """Return KL(P || Q) for each number of bins that a clipped range may keep.

    For n kept bins, P is the histogram with the counts of all later bins added to the last kept
    one: values beyond the limit are clipped to it. Q is the histogram of the kept bins, quantized:
    bin b belongs to level floor(b levels / n), and each level's count is spread evenly over those
    of its bins that are not empty. Both are normalized to a sum of 1.

    Args:
        counts: (bins,) histogram of absolute values.
        levels: number of levels that values are quantized to.

    Returns:
        (bins - levels + 1,) the divergence for n = levels, levels + 1, ..., bins. It is infinite
        where P has a count and Q has none.
    """
    # KL(P || Q) = sum_b P_b log P_b - sum_b P_b log Q_b. Q is constant over the filled bins of a
    # level, and P equals the histogram except in the last kept bin. So both sums over bins are
    # differences of cumulative sums, and all n are computed at once.
    n_kept = np.arange(levels, len(counts) + 1)
    level_edges = -(-n_kept[:, None] * np.arange(levels + 1) // levels)  # ceil(n level / levels)
    cumulative = _cumulative(counts)
    level_counts = np.diff(cumulative[level_edges], axis=1)
    filled_bins = np.diff(_cumulative(counts > 0)[level_edges], axis=1)
    total, kept_counts = cumulative[-1], cumulative[n_kept]
    clipped, last = total - kept_counts, counts[n_kept - 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_q = np.log(level_counts / filled_bins / kept_counts[:, None])
        cross_term = np.where(level_counts > 0, level_counts * log_q, 0).sum(1)
        cross_term += _times(clipped, log_q[:, -1])
        entropy_term = _cumulative(_x_log_x(counts))[n_kept - 1] + _x_log_x(last + clipped)
        divergences = (entropy_term - cross_term) / total - np.log(total)
    q_is_zero = (kept_counts == 0) | ((last == 0) & (clipped > 0))
    return np.where(q_is_zero, np.inf, divergences)


def _cumulative(values: np.ndarray) -> np.ndarray:
    """Return the sums of the first 0, 1, 2, ... values."""
    return np.concatenate([[0], np.cumsum(values)])


def _x_log_x(values: np.ndarray) -> np.ndarray:
    """Return x log x of each value, with 0 log 0 = 0."""
    return _times(values, np.log(np.where(values > 0, values, 1)))


def _times(values: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Return the products, which are 0 where a value is 0, even if its factor is infinite."""
    return np.where(values > 0, values * factors, 0)
