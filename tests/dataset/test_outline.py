"""What is told of a dataset without its files is what its files say."""

from pathlib import Path
from typing import Any

import pytest

from kdrun import dataset
from kdrun.config.overrides import read_jobs
from kdrun.core.types import DataInfo
from kdrun.dataset.outline import OUTLINES
from kdrun.dataset.table import DATASETS


def node(*words: str) -> dict[str, Any]:
    (job,) = read_jobs(words, multirun=False)
    assert not job.faults
    return job.tree["dataset"]


def shape(info: DataInfo | None) -> tuple[int, int, tuple[int, int]]:
    assert info is not None
    return info.num_classes, info.channels, info.image_size


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
    found = node(*words)
    assert shape(dataset.preview(found)) == shape(dataset.load(found).info)


@pytest.mark.data
def test_the_outline_of_mnist_is_what_is_read(shared_data: Path) -> None:
    found = node("dataset=mnist", f"dataset.root={shared_data}", "dataset.download=false")
    assert shape(dataset.preview(found)) == shape(dataset.load(found).info)


@pytest.mark.parametrize("name", [*OUTLINES, "fake"])
def test_an_outline_needs_no_files(name: str) -> None:
    assert dataset.preview(node(f"dataset={name}", "dataset.root=nowhere")) is not None


def test_every_dataset_has_an_outline_but_those_that_only_files_know() -> None:
    assert set(DATASETS) - set(OUTLINES) >= {"imagefolder", "fake"}
    assert set(OUTLINES) <= set(DATASETS)
    assert dataset.preview(node("dataset=imagefolder", "dataset.root=nowhere")) is None
