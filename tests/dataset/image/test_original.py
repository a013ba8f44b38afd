"""What YAML says of a dataset is what its files hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kdrun import dataset
from kdrun.config.compose import compose_runs
from kdrun.config.older_runs import with_new_keys
from kdrun.core.errors import ConfigError
from kdrun.core.types import DataInfo
from kdrun.dataset.table import DATASETS

CONF = Path(__file__).parents[3] / "conf" / "dataset"


def node(*words: str) -> dict[str, Any]:
    (job,) = compose_runs(words, multirun=False)
    assert not job.faults
    return job.tree["dataset"]


def shape(info: DataInfo | None) -> tuple[int, int, tuple[int, int]]:
    assert info is not None
    return info.num_classes, info.inputs.channels, info.inputs.image_size


@pytest.mark.parametrize(
    "words",
    [
        ("dataset=digits",),
        ("dataset=digits", "dataset.classes=[1,2,3]", "dataset.channels=3"),
        ("dataset=digits", "dataset.class_map={low: [0, 1], high: [8, 9]}"),
        ("dataset=digits", "dataset.image_size=12"),
        ("dataset=fake", "dataset.num_classes=4", "dataset.image_size=10", "dataset.channels=1"),
    ],
    ids=" ".join,
)
def test_the_outline_is_what_is_read(words: tuple[str, ...]) -> None:
    settings = node(*words)
    assert shape(dataset.preview(settings)) == shape(dataset.load(settings).info)


@pytest.mark.data
def test_the_outline_of_mnist_is_what_is_read(shared_data: Path) -> None:
    settings = node("dataset=mnist", f"dataset.root={shared_data}", "dataset.download=false")
    assert shape(dataset.preview(settings)) == shape(dataset.load(settings).info)


IMAGES = sorted(name for name, reader in DATASETS.items() if ".image." in reader)


@pytest.mark.parametrize("name", IMAGES)
def test_every_yaml_says_what_the_files_hold_or_that_only_they_tell(name: str) -> None:
    own_keys = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    assert "original" in own_keys, "say `original: {classes: ...}`, or null"
    info = dataset.preview(node(f"dataset={name}", "dataset.root=nowhere"))
    assert (info is None) == (own_keys["original"] is None)


def test_an_image_size_that_only_the_files_tell_leaves_no_outline() -> None:
    assert dataset.preview(node("dataset=imagenet", "dataset.image_size=null")) is None


@pytest.mark.parametrize(
    ("key", "value", "actual"), [("classes", 9, 10), ("channels", 3, 1), ("image_size", 16, 8)]
)
def test_files_that_hold_something_else_are_refused(key: str, value: int, actual: int) -> None:
    with pytest.raises(ConfigError) as caught:
        dataset.load(node("dataset=digits", f"dataset.original.{key}={value}"))
    (fault,) = caught.value.faults
    assert fault.where == f"dataset.original.{key}"
    assert f"is {value}, and the files have {actual}" in str(fault)


def test_more_class_folders_than_the_yaml_says_are_refused_and_fewer_are_a_selection(
    folder: Callable[..., Path],
) -> None:
    for name in "abc":
        root = folder(f"train/{name}", 4)
        folder(f"val/{name}", 2)
    words = ("dataset=imagenet", f"dataset.root={root}", "dataset.image_size=8")
    assert dataset.load(node(*words)).info.num_classes == 3
    with pytest.raises(ConfigError, match="is 2, and the files have 3"):
        dataset.load(node(*words, "dataset.original.classes=2"))


def test_a_run_made_before_has_no_such_key() -> None:
    old = node("dataset=digits")
    original, task = old.pop("original"), old.pop("task")
    tree = with_new_keys({"dataset": old})
    assert tree["dataset"] == {**old, "original": None, "task": task}
    assert original is not None
    declared = {**tree["dataset"], "original": original}
    assert dataset.load(tree["dataset"]).digest == dataset.load(declared).digest
