"""Intervals against scipy, published examples, and how often they hold what is true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kdrun.measure.intervals import accuracy_interval, gain_interval, half_width


def paired(both: int, won: int, lost: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Correctness of two models on the same samples, from the four counts."""
    counts = [both, won, lost, neither]
    correct = np.repeat([True, True, False, False], counts)
    before = np.repeat([True, False, True, False], counts)
    return correct, before


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (5, 5), (1, 7), (7600, 10_000), (353, 360)])
def test_accuracy_interval_is_the_one_of_wilson(hits, n):
    expected = stats.binomtest(hits, n).proportion_ci(method="wilson")
    value, low, high = accuracy_interval(hits / n, n)
    assert value == hits / n
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)


@pytest.mark.parametrize("n", [1_000, 10_000])
def test_half_width_on_many_images_is_nearly_that_of_the_normal_distribution(n):
    normal = 1.96 * np.sqrt(0.76 * 0.24 / n)  # 0.84 points on 10,000 images
    assert normal < half_width(0.76, n) < 1.04 * normal


def test_a_perfect_score_is_not_certain():
    assert half_width(1.0, 360) == pytest.approx(0.0106, abs=1e-4)


def test_gain_interval_equals_the_published_example():
    # Fagerland, Lydersen and Laake, table of Cavo et al.: 59, 6, 16, 80; -0.1195 to -0.0032.
    value, low, high = gain_interval(*paired(59, 6, 16, 80))
    assert value == pytest.approx(-10 / 161)
    assert low == pytest.approx(-0.1195, abs=5e-5)
    assert high == pytest.approx(-0.0032, abs=5e-5)


@given(*[st.integers(0, 40)] * 3, st.integers(1, 40))
def test_gain_interval_holds_the_gain_and_turns_with_the_sides(both, won, lost, neither):
    correct, before = paired(both, won, lost, neither)
    value, low, high = gain_interval(correct, before)
    assert value == pytest.approx(correct.mean() - before.mean())
    assert -1 <= low <= value <= high <= 1
    assert gain_interval(before, correct) == pytest.approx((-value, -high, -low))


def test_two_equal_models_leave_a_gain_open():
    value, low, high = gain_interval(*paired(350, 0, 0, 10))
    assert value == 0
    assert -low == high == pytest.approx(1.96 * np.sqrt(2) / 362, rel=1e-3)


@pytest.mark.parametrize(("won", "lost"), [(0.02, 0.01), (0.005, 0.005), (0.1, 0.05)])
def test_gain_interval_holds_the_truth_in_95_of_100_test_sets(won, lost):
    draws = np.random.default_rng(4).multinomial(360, [won, lost, 1 - won - lost], size=1_000)
    intervals = [gain_interval(*paired(0, b, c, rest)) for b, c, rest in draws]
    held = np.mean([low <= won - lost <= high for _, low, high in intervals])
    assert held > 0.935
