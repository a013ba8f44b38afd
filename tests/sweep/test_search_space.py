"""Ranges in Hydra's words: their values, and what can't be searched."""

import pytest

from kdrun.sweep.search_space import faults_of_ranges, range_values


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("interval(1, 16)", ["1.0", "16.0"]),
        ("tag(log, int(interval(1, 8)))", ["1", "8"]),
        ("range(1, 4)", ["1", "2", "3"]),
        ("kd,dkd", ["kd", "dkd"]),
    ],
)
def test_values_of_a_range(word: str, expected: list[str]) -> None:
    assert range_values(word) == expected


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("interval(1, inf)", "has an end that is not a number"),
        ("interval(4, 1)", "has its ends in the wrong order: write 1 before 4"),
        ("tag(log, interval(0, 1))", "is logarithmic and must start above 0, not at 0"),
    ],
)
def test_a_range_that_can_not_be_searched_says_why(word: str, fault: str) -> None:
    assert [str(one) for one in faults_of_ranges({"key": word})] == [f"key: {word} {fault}"]


def test_a_range_that_can_be_searched_has_no_fault() -> None:
    assert faults_of_ranges({"loss": "choice(kd,dkd)", "recipe.lr": "interval(0.1,1)"}) == []
