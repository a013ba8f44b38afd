"""Classes are kept and merged by name or index; wrong choices are reported."""

import pytest
import torch

from kdrun import dataset
from kdrun.core.errors import ConfigError
from kdrun.dataset.class_selection import choose_classes

ANIMALS = ("bird", "cat", "dog", "frog")


def faults(keep=None, groups=None, classes=ANIMALS) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        choose_classes(classes, keep, groups)
    return [str(fault) for fault in caught.value.faults]


def test_all_classes_stay_as_they_are():
    names, table = choose_classes(ANIMALS, None, None)
    assert names == ANIMALS
    assert table.tolist() == [0, 1, 2, 3]


def test_kept_classes_are_labeled_in_the_order_asked_for():
    names, table = choose_classes(ANIMALS, ["frog", 1], None)
    assert names == ("frog", "cat")
    assert table.tolist() == [-1, 1, -1, 0]


def test_joined_classes_share_a_label_and_others_are_left_out():
    names, table = choose_classes(ANIMALS, None, {"pet": ["dog", "cat"], "wet": ["frog"]})
    assert names == ("pet", "wet")
    assert table.tolist() == [-1, 0, 0, 1]


def test_only_kept_classes_are_joined():
    names, table = choose_classes(ANIMALS, ["cat", "frog"], {"pet": ["dog", "cat"], 2: [3]})
    assert names == ("pet", "2")
    assert table.tolist() == [-1, 0, -1, 1]


def test_a_number_that_is_a_name_means_that_class():
    names, table = choose_classes(("1", "2", "3"), [3, "1"], None)
    assert names == ("3", "1")
    assert table.tolist() == [1, -1, 0]


def test_unknown_classes_are_all_named_with_the_nearest():
    assert faults(["cta", "dog", 9]) == [
        "dataset.classes: no class is called 'cta'.\n  nearest: cat",
        "dataset.classes: no class has the index 9; there are 0 to 3",
    ]
    assert faults(groups={"pet": ["xyz", "dog"]}) == [
        "dataset.class_map.pet: no class is called 'xyz'.\n  available: bird, cat, dog, frog"
    ]


def test_a_class_twice_is_refused():
    assert faults(["cat", 1]) == ["dataset.classes: has the class 'cat' twice"]
    assert faults(groups={"a": ["cat"], "b": ["dog", "cat"]}) == [
        "dataset.class_map: has the class 'cat' twice"
    ]


def test_fewer_than_two_classes_are_refused():
    assert faults(["cat"]) == [
        "dataset: only the class 'cat' is left, and classification takes two or more"
    ]
    assert faults([]) == ["dataset: no class is left, and classification takes two or more"]
    assert faults(groups={"all": [0, 1, 2, 3]})[0].startswith(
        "dataset.class_map: only the class 'all'"
    )


def test_digits_with_some_classes(node):
    data = dataset.load(node("digits", classes=[7, 1]))
    full = dataset.load(node("digits"))
    assert data.info.classes == ("7", "1")
    assert data.train.num_classes == data.info.num_classes == 2
    for split in (data.train, data.validation, data.test):
        assert set(split.targets.tolist()) == {0, 1}
    original = {}
    for split in (full.train, full.validation, full.test):
        original |= dict(zip(split.ids.tolist(), split.targets.tolist(), strict=True))
    original_labels = [original[position] for position in data.train.ids.tolist()]
    assert original_labels == torch.tensor([7, 1])[data.train.targets].tolist()


def test_fake_joined_into_two(node):
    groups = {"low": [0, 1, 2], "high": ["class 9", "class 8"]}
    data = dataset.load(node("fake", class_map=groups))
    assert data.info.classes == ("low", "high")
    assert data.test.targets.bincount().tolist() == [150, 100]
    assert data.train.size + data.validation.size == 1000
