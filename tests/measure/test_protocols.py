"""Repeated splits into samples that choose and samples that are measured."""

import numpy as np
import pytest

from kdrun.core.errors import UserError
from kdrun.measure.protocols import KFold, RandomSamples, Ratios

TARGETS = np.repeat(np.arange(4), [10, 20, 30, 40])


def counts(positions: np.ndarray) -> list[int]:
    return np.bincount(TARGETS[positions], minlength=4).tolist()


@pytest.mark.parametrize(
    "protocol", [KFold(5), RandomSamples(6, 0.3), Ratios(3, [0.2, 0.5])], ids=lambda p: type(p)
)
def test_no_sample_that_chooses_is_measured_and_none_is_left_out(protocol):
    found = list(protocol.splits(TARGETS, 0))
    for parts in found:
        assert sorted([*parts.choosing, *parts.measured]) == list(range(100))
    assert len({tuple(sorted(parts.choosing)) for parts in found}) == len(found)


def test_folds_measure_each_sample_once():
    found = list(KFold(5).splits(TARGETS, 0))
    assert sorted(np.concatenate([parts.measured for parts in found])) == list(range(100))
    assert all(counts(parts.measured) == [2, 4, 6, 8] for parts in found)
    assert {parts.group for parts in found} == {"5 folds"}


def test_random_samples_have_their_share_of_each_class():
    found = list(RandomSamples(4, 0.3).splits(TARGETS, 0))
    assert [counts(parts.choosing) for parts in found] == [[3, 6, 9, 12]] * 4
    assert {parts.group for parts in found} == {"4 samples of 30%"}


def test_ratios_are_random_samples_of_several_shares():
    found = list(Ratios(3, [0.2, 0.5]).splits(TARGETS, 0))
    assert [len(parts.choosing) for parts in found] == [20, 20, 20, 50, 50, 50]
    same = list(RandomSamples(3, 0.5).splits(TARGETS, 0))
    assert [parts.choosing.tolist() for parts in found[3:]] == [p.choosing.tolist() for p in same]


def test_the_seed_decides():
    one, same, other = (
        next(KFold(5).splits(TARGETS, seed)).choosing.tolist() for seed in (1, 1, 2)
    )
    assert one == same != other


def test_too_few_samples_are_told_of():
    with pytest.raises(UserError, match="a class has 10 validation samples, and 11 parts"):
        list(KFold(11).splits(TARGETS, 0))
    with pytest.raises(UserError, match=r"a share of 0\.02 of 100 validation samples"):
        list(RandomSamples(2, 0.02).splits(TARGETS, 0))
