"""Splits are disjoint, stratified and repeatable, and know the source of their samples."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kdrun import dataset
from kdrun.core.errors import ConfigError, UserError
from kdrun.dataset.image.images import InMemory
from kdrun.dataset.splits import carve, number, stratify, take_subset

SIZES = st.lists(st.integers(1, 40), min_size=2, max_size=6)


def labels(sizes: list[int]) -> torch.Tensor:
    targets = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return targets[torch.randperm(len(targets), generator=torch.Generator().manual_seed(1))]


@given(SIZES, st.floats(0.0, 1.0), st.integers(0, 3))
def test_stratify_keeps_the_share_of_each_class_within_one_sample(sizes, share, seed):
    targets = labels(sizes)
    count = round(share * len(targets))
    chosen = stratify(targets, count, seed, "test")
    assert len(set(chosen.tolist())) == len(chosen) == count
    assert torch.equal(chosen, chosen.sort().values)
    expected = torch.tensor(sizes) * count / len(targets)
    got = targets[chosen].bincount(minlength=len(sizes))
    assert (got - expected).abs().max() < 1


def test_stratify_repeats_and_depends_on_seed_and_purpose():
    targets = labels([50, 50])
    first = stratify(targets, 30, 0, "validation")
    assert torch.equal(first, stratify(targets, 30, 0, "validation"))
    assert not torch.equal(first, stratify(targets, 30, 1, "validation"))
    assert not torch.equal(first, stratify(targets, 30, 0, "test"))


def test_carve_divides_all_samples_and_keeps_their_ids():
    targets = labels([30, 20, 10])
    images = torch.arange(60, dtype=torch.uint8).view(60, 1, 1, 1)
    full = number("train", InMemory(images, targets))
    left, taken = carve(full, 0.25, 0, "validation")
    assert len(taken.ids) == 15
    assert sorted([*left.ids.tolist(), *taken.ids.tolist()]) == list(range(60))
    for part in (left, taken):
        assert torch.equal(part.samples.images.flatten().long(), part.ids)
        assert torch.equal(part.targets, targets[part.ids])
    again = take_subset(left, 10, 0)
    assert torch.equal(again.samples.images.flatten().long(), again.ids)


@pytest.mark.parametrize("name", ["digits", "fake"])
def test_splits_of_a_dataset_are_disjoint(node, name):
    data = dataset.load(node(name))
    splits = (data.train, data.validation, data.test)
    samples = [(split.source, position) for split in splits for position in split.ids.tolist()]
    assert len(samples) == len(set(samples)) == sum(split.size for split in splits)
    assert all(split.size == len(split.targets) for split in splits)


def test_digits_have_the_shares_that_the_yaml_says(node):
    data = dataset.load(node("digits", test=0.25, validation=0.2))
    total = sum(split.size for split in (data.train, data.validation, data.test))
    assert total == 1797
    assert data.test.size == 449
    assert data.validation.size == round(0.2 * (1797 - 449))
    for split in (data.train, data.validation, data.test):
        shares = split.targets.bincount() / split.size
        assert shares.min() > 0.09
        assert shares.max() < 0.115


def test_the_splits_do_not_change_with_a_subset(node):
    full, few = (dataset.load(node("digits", subset=subset)) for subset in (None, 100))
    assert few.train.size == few.info.train_size == 100
    assert torch.equal(few.validation.ids, full.validation.ids)
    assert torch.equal(few.test.ids, full.test.ids)
    assert set(few.train.ids.tolist()) < set(full.train.ids.tolist())
    assert few.train.targets.bincount().tolist() == [10] * 10


def test_a_fraction_of_the_training_samples(node):
    full, half = (dataset.load(node("fake", subset=subset)) for subset in (None, 0.5))
    assert half.train.size == full.train.size / 2


def test_another_split_seed_gives_other_splits(node):
    first, second = (dataset.load(node("digits", split_seed=seed)) for seed in (0, 1))
    assert not torch.equal(first.test.ids, second.test.ids)


def test_a_subset_larger_than_the_data_is_refused(node):
    with pytest.raises(ConfigError) as caught:
        dataset.load(node("digits", subset=5000))
    assert (
        str(caught.value)
        == "dataset.subset: 5000 samples were asked for, and the training split has 1294"
    )


def test_a_subset_that_leaves_a_class_without_samples_is_refused(node):
    with pytest.raises(UserError) as caught:
        dataset.load(node("digits", subset=8))
    assert str(caught.value).startswith("no training sample is left of 2 of 10 classes: '")
