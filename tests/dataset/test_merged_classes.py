"""Classes merged into concepts: splits stay, labels change, other samples are dropped."""

import pytest
import torch
import yaml

from kdrun import dataset
from kdrun.config.choices import conf_folder
from kdrun.core.errors import ConfigError
from kdrun.dataset.data import Data
from kdrun.dataset.merged_classes import merge_classes

SPLITS = ("train", "validation", "test")
# Each fine class's superclass as the files of CIFAR-100 have it, both in alphabetical order.
COARSE = """
 4  1 14  8  0  6  7  7 18  3  3 14  9 18  7 11  3  9  7 11  6 11  5 10  7  6 13 15  3 15
 0 11  1 10 12 14 16  9 11  5  5 19  8  8 15 13 14 17 18 10 16  4 17  4  2  0 17  4 18 17
10  3  2 12 12 16 12  1  9 19  2 10  0  1 16 12  9 13 15 13 16 19  2  4  6 19  5  5  8 19
18  1  2 15  6  0 17  8 14 13
"""


@pytest.fixture
def digits(node) -> Data:
    return dataset.load(node("digits"))


def faults(data: Data, concepts: dict) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        merge_classes(data, concepts, "scheme.map")
    return [str(fault) for fault in caught.value.faults]


def test_the_same_samples_stay_in_each_split(digits: Data) -> None:
    merged = merge_classes(digits, {"high": [7, 8], "low": ["1"]}, "scheme.map")
    assert merged.info.classes == ("high", "low")
    assert merged.info.merge.groups == ((7, 8), (1,))
    assert merged.info.merge.known == digits.info.classes
    assert merged.info.train_size == merged.train.size
    for purpose in SPLITS:
        full, few = getattr(digits, purpose), getattr(merged, purpose)
        kept = torch.isin(full.targets, torch.tensor([1, 7, 8]))
        assert few.ids.tolist() == full.ids[kept].tolist()
        assert few.targets.tolist() == (full.targets[kept] == 1).long().tolist()
        assert few.num_classes == 2
        shown = next(iter(few.batches(len(few.ids))))
        all_shown = next(iter(full.batches(len(full.ids))))
        assert torch.equal(shown.inputs, all_shown.inputs[kept])
        assert torch.equal(shown.targets, few.targets)


def test_the_digest_tells_maps_apart(digits: Data) -> None:
    maps = ({"a": [0], "b": [1]}, {"b": [0], "a": [1]}, {"a": [0], "b": [1, 2]})
    found = {merge_classes(digits, one, "scheme.map").digest for one in maps}
    assert len({*found, digits.digest}) == 4


def test_the_cifar100_map_is_that_of_its_files() -> None:
    text = (conf_folder() / "concepts/cifar100_superclasses.yaml").read_text(encoding="utf-8")
    concepts = yaml.safe_load(text)
    assert list(concepts) == sorted(concepts)
    of = {fine: name for name, classes in concepts.items() for fine in classes}
    names = list(concepts)
    assert [names.index(of[fine]) for fine in sorted(of)] == [int(word) for word in COARSE.split()]


def test_all_mistakes_of_a_map_are_reported_together(digits: Data) -> None:
    assert faults(digits, {"a": [1, 2], "b": [], "c": [1, "sevn", 10]}) == [
        "scheme.map.b: merges no class; name some or leave it out",
        "scheme.map.c: no class is called 'sevn'.\n  available: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "scheme.map.c: no class has the index 10; there are 0 to 9",
        "scheme.map: has the class '1' twice",
    ]
    assert faults(digits, {"a": [1]}) == [
        "scheme.map: only the class 'a' is left, and classification takes two or more"
    ]
    assert faults(digits, {}) == [
        "scheme.map: no class is left, and classification takes two or more"
    ]


def test_a_split_without_a_sample_is_refused(node) -> None:
    data = dataset.load(node("digits", subset=20, validation=0.002))
    missing = sorted({*range(10)} - {*data.validation.targets.tolist()})
    assert faults(data, {"a": missing[:1], "b": missing[1:2]}) == [
        "scheme.map: leaves no validation sample; name more classes"
    ]
