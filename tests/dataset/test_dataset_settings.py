"""Every dataset's YAML fits its reader, and wrong settings are reported."""

import subprocess
import sys

import pytest

from kdrun import dataset
from kdrun.core.errors import ConfigError
from kdrun.core.registry import keywords, resolve
from kdrun.dataset.config_node import common_keys
from kdrun.dataset.table import DATASETS

NAMES = sorted(DATASETS)


def faults(node) -> list[str]:
    return [str(fault) for fault in dataset.check(node)]


def load_faults(node) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        dataset.load(node)
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("name", NAMES)
def test_yaml_has_the_common_keys_and_the_readers_own(node, name):
    parameters = keywords(resolve("dataset", DATASETS, name))
    assert set(node(name)) == {"name", *common_keys(name), *parameters}


@pytest.mark.parametrize("name", NAMES)
def test_yaml_has_no_faults(node, name):
    assert node(name)["name"] == name
    assert faults(node(name)) == []


def test_the_root_is_the_shared_data_where_it_is_named(node, monkeypatch):
    monkeypatch.delenv("KDRUN_DATA", raising=False)
    assert node("mnist")["root"] == "data"
    monkeypatch.setenv("KDRUN_DATA", "/sets")
    assert node("mnist")["root"] == "/sets"
    assert node("imagenet")["root"] == "/sets/imagenet"


def test_names_and_checks_come_without_torch():
    code = "import sys, kdrun.dataset, kdrun.dataset.table; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_dataset_is_a_fault(node):
    (fault,) = faults({**node("mnist"), "name": "mnst"})
    assert fault.startswith("dataset: no dataset is called 'mnst'.\n  nearest: mnist, kmnist")


def test_an_unknown_key_names_the_nearest(node):
    (common,) = faults(node("digits", sbset=10))
    assert common.startswith("dataset.sbset: unknown key of 'digits'; nearest: subset")
    (reader_fault,) = faults(node("fake", num_clases=3))
    assert reader_fault.startswith(
        "dataset.num_clases: unknown key of 'fake'; nearest: num_classes"
    )


def test_a_missing_key_is_a_fault(node):
    settings = node("imagefolder")
    del settings["center"], settings["workers"]
    assert sorted(faults(settings)) == [
        "dataset.center: must be given",
        "dataset.workers: must be given",
    ]


SUBSET = "should be a number of samples, a fraction below 1, or null"
CLASS = "should be the name or the index of a class"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"subset": 0}, f"dataset.subset: 0 {SUBSET}"),
        ({"subset": -5}, f"dataset.subset: -5 {SUBSET}"),
        ({"subset": 1.5}, f"dataset.subset: 1.5 {SUBSET}"),
        ({"subset": True}, f"dataset.subset: true {SUBSET}"),
        ({"subset": float("nan")}, f"dataset.subset: nan {SUBSET}"),
        ({"subset": "many"}, f"dataset.subset: 'many' {SUBSET}"),
        ({"classes": [1, 2.5]}, f"dataset.classes.1: 2.5 {CLASS}"),
        ({"class_map": {"a": [None]}}, f"dataset.class_map.a.0: null {CLASS}"),
        ({"validation": 0}, "dataset.validation: 0 should be greater than 0"),
        ({"validation": 1.0}, "dataset.validation: 1.0 should be less than 1"),
        ({"test": -0.1}, "dataset.test: -0.1 should be greater than 0"),
        ({"split_seed": -1}, "dataset.split_seed: -1 should be greater than or equal to 0"),
        ({"image_size": 0}, "dataset.image_size: 0 should be greater than 0"),
        ({"channels": 2}, "dataset.channels: 2 should be 1 or 3"),
        ({"workers": -1}, "dataset.workers: -1 should be a number of processes, or auto"),
        ({"workers": "all"}, "dataset.workers: 'all' should be a number of processes, or auto"),
        ({"memory_limit": -1}, "dataset.memory_limit: -1 should be greater than or equal to 0"),
        ({"mean": [0.5], "std": [0.0]}, "dataset.std.0: 0.0 should be greater than 0"),
        (
            {"augment": {"resized_crop": 1.5}},
            "dataset.augment.resized_crop: 1.5 should be less than or equal to 1",
        ),
        (
            {"augment": {"crop": -1}},
            "dataset.augment.crop: -1 should be greater than or equal to 0",
        ),
        (
            {"augment": {"rotate": 10}},
            "dataset.augment.rotate: unknown key of 'augment'; its keys: crop, flip, resized_crop",
        ),
    ],
)
def test_a_value_out_of_range_is_a_fault(node, changes, fault):
    assert faults(node("digits", **changes)) == [fault]


def test_settings_that_exclude_each_other(node):
    (crops,) = faults(node("digits", augment={"crop": 1, "resized_crop": 0.5}))
    assert crops.startswith("dataset.augment: ")
    assert crops.endswith("should have crop or resized_crop, not both")
    (lone,) = faults(node("digits", mean=[0.5]))
    assert lone.endswith("should have mean and std, or neither")


def test_all_faults_come_at_once(node):
    assert len(load_faults(node("digits", subset=0, workers=-1, split_seed=-1))) == 3


def test_settings_that_the_images_prove_wrong(node):
    assert load_faults(
        node("digits", mean=[0.5] * 3, std=[0.5] * 3, augment={"crop": 0, "resized_crop": 0.5})
    ) == [
        "dataset.mean: has 3 values, and the images 1 channels",
        "dataset.std: has 3 values, and the images 1 channels",
        "dataset.augment.resized_crop: is for image files, and this dataset has none; use crop",
    ]
    assert load_faults(node("digits", augment={"crop": 8})) == [
        "dataset.augment.crop: 8 pixels of padding could crop images of 8x8 away"
    ]


def test_mean_and_deviation_of_the_config_are_taken(node):
    data = dataset.load(node("digits", mean=[0.25], std=[0.5]))
    assert (data.info.inputs.mean, data.info.inputs.std) == ((0.25,), (0.5,))


def test_size_and_channels_of_the_config_are_taken(node):
    data = dataset.load(node("digits", image_size=12, channels=3))
    batch = next(data.test.batches(4))
    assert data.info.inputs.image_size == (12, 12)
    assert data.info.inputs.channels == 3
    assert batch.inputs.shape == (4, 3, 12, 12)
    grey = dataset.load(node("fake", train_size=50, channels=1))
    assert grey.info.inputs.channels == 1


def test_color_from_grey_repeats_it_and_grey_from_color_weighs_it(node):
    digits, color = (dataset.load(node("digits", channels=count)) for count in (None, 3))
    assert (color.train.feed.images == digits.train.feed.images).all()
    back = dataset.load(node("digits", channels=1))
    assert back.digest == digits.digest
