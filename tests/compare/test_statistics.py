"""Intervals and tests against scipy, and how often intervals hold the truth."""

import math

import numpy as np
import pytest
from scipy import stats

from kdrun.compare.resampling import bootstrap, bootstrap_of_two
from kdrun.compare.statistics import estimate, holm, mcnemar_p, paired_p, welch
from kdrun.compare.t_distribution import t_quantile

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("freedom", [1, 1.5, 2, 3, 4, 5, 7.3, 9, 10, 30, 101, 5000])
def test_quantiles_are_scipys(freedom):
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 21])
def test_means_and_paired_tests_are_scipys(count):
    first, second = RANDOM.normal(0.7, 0.01, count), RANDOM.normal(0.705, 0.01, count)
    found = estimate(list(first))
    expected = stats.t.interval(0.95, count - 1, first.mean(), stats.sem(first))
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)
    assert found.deviation == pytest.approx(first.std(ddof=1))
    p = stats.ttest_rel(first, second).pvalue
    assert paired_p(list(first - second)) == pytest.approx(p, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [(2, 2), (2, 9), (3, 5), (20, 4)])
def test_unpaired_tests_are_scipys(first, second):
    own, other = RANDOM.normal(0.7, 0.01, first), RANDOM.normal(0.705, 0.03, second)
    found = stats.ttest_ind(own, other, equal_var=False)
    interval = found.confidence_interval(0.95)
    expected = (interval.low, interval.high, found.pvalue)
    assert welch(list(own), list(other)) == pytest.approx(expected, rel=1e-9)


def test_chances_are_exact_far_from_the_mean():
    values = [0.1, 0.1001, 0.1002, 0.0999, 0.1]
    assert paired_p(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-9, abs=0)


def test_one_value_has_no_interval_and_none_no_mean():
    assert estimate([0.5]).low is None
    with pytest.raises(ValueError, match="no values"):
        estimate([])


def test_differences_that_are_all_the_same_are_certain_or_none():
    assert paired_p([0.0, 0.0, 0.0]) == 1
    assert paired_p([0.1, -0.1, 1e-17]) == pytest.approx(1)
    assert paired_p([0.01, 0.01, 0.01]) == 0


@pytest.mark.parametrize(
    ("won", "lost"), [(0, 0), (1, 0), (5, 5), (12, 3), (3, 12), (400, 350), (9000, 8800)]
)
def test_mcnemar_is_the_binomial_test(won, lost):
    expected = stats.binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert mcnemar_p(won, lost) == pytest.approx(expected, rel=1e-9)


def test_holm_is_the_step_down_formula():
    chances = [0.01, 0.04, 0.03, 0.005]
    assert holm(chances) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_bootstrap_is_that_of_drawing_samples_one_by_one():
    differences = RANDOM.choice([-1, 0, 1], size=300, p=[0.1, 0.7, 0.2])
    draws = RANDOM.choice(differences, size=(20000, 300)).mean(axis=1)
    expected = np.quantile(draws, [0.025, 0.975])
    assert bootstrap(differences, 1, draws=20000) == pytest.approx(expected, abs=0.003)
    assert bootstrap(differences, 1) == bootstrap(differences, 1)


@pytest.mark.parametrize("count", [2, 3, 5, 6])
def test_the_bootstrap_of_few_values_counts_what_drawing_finds(count):
    differences = RANDOM.normal(0.01, 0.02, count)
    draws = np.sort(RANDOM.choice(differences, size=(40000, count)).mean(axis=1))
    low, high = bootstrap(differences, 1)
    assert (draws < low - 1e-12).mean() <= 0.025 < (draws < low + 1e-12).mean() + 0.002
    assert (draws > high + 1e-12).mean() <= 0.025 < (draws > high - 1e-12).mean() + 0.002


def test_the_bootstrap_of_two_draws_from_each_by_itself():
    own, other = RANDOM.normal(0.7, 0.01, 8), RANDOM.normal(0.71, 0.02, 5)
    draws = RANDOM.choice(own, (20000, 8)).mean(1) - RANDOM.choice(other, (20000, 5)).mean(1)
    expected = np.quantile(draws, [0.025, 0.975])
    assert bootstrap_of_two(own, other, 1, draws=20000) == pytest.approx(expected, abs=5e-4)


def test_intervals_over_seeds_hold_the_truth_as_often_as_they_say():
    held = 0
    for _ in range(2000):
        found = estimate(list(RANDOM.normal(0.6, 0.02, 4)))
        held += found.low <= 0.6 <= found.high
    assert 0.93 <= held / 2000 <= 0.97


def test_intervals_of_unpaired_seeds_hold_the_truth_as_often_as_they_say():
    held = 0
    for _ in range(2000):
        low, high, _ = welch(list(RANDOM.normal(0.6, 0.01, 4)), list(RANDOM.normal(0.6, 0.03, 5)))
        held += low <= 0 <= high
    assert 0.93 <= held / 2000 <= 0.97


def test_paired_tests_find_what_is_not_there_as_rarely_as_they_say():
    found = sum(paired_p(list(RANDOM.normal(0, 0.01, 5))) < 0.05 for _ in range(2000))
    assert 0.03 <= found / 2000 <= 0.07


@pytest.mark.parametrize(("count", "share"), [(3, 0.75), (5, 0.83), (10, 0.91)])
def test_the_bootstrap_of_few_seeds_is_as_narrow_as_is_said(count, share):
    held = 0
    for _ in range(2000):
        low, high = bootstrap(RANDOM.normal(0, 0.01, count), 0)
        held += low <= 0 <= high
    assert held / 2000 == pytest.approx(share, abs=0.03)


def test_intervals_of_samples_hold_the_truth_as_often_as_they_say():
    held = 0
    for seed in range(2000):
        differences = RANDOM.choice([-1, 0, 1], size=500, p=[0.08, 0.8, 0.12])
        low, high = bootstrap(differences, seed, draws=400)
        held += low <= 0.04 <= high
    assert 0.93 <= held / 2000 <= 0.97
    assert not math.isnan(low)


def test_differences_that_cancel_but_for_rounding_are_no_evidence():
    differences = [0.1, 0.2, -0.3]
    assert sum(differences) != 0
    assert paired_p(differences) == pytest.approx(1)
