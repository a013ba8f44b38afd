"""A folder of another domain: learned from without labels, and tested on if it has labels."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kdrun import dataset
from kdrun.core.errors import UserError
from kdrun.dataset.data import Data
from kdrun.dataset.image.transfer import transfer_data

Load = Callable[..., tuple[Data, Data]]


@pytest.fixture
def load(node, tmp_path: Path) -> Load:
    """The digits, and beside them the pictures that the fixture `folder` wrote."""

    def read(**changes: object) -> tuple[Data, Data]:
        given = node("digits", **changes)
        data = dataset.load(given)
        folder = str(tmp_path / "pictures")
        return data, transfer_data(given, data, folder, "scheme.transfer")

    return read


@pytest.mark.parametrize("place", ["", "x", "deep/er", "train", "train/x"])
def test_images_without_labels_are_learned_from_and_not_tested_on(
    load: Load, folder, place: str
) -> None:
    folder(place, 7, size=(10, 12), mode="RGB")
    data, other = load()
    assert other.train.size == other.info.train_size == 7
    assert not other.train.has_label.any()
    assert other.validation is data.validation
    assert (other.test, other.domain) == (data.test, "")
    assert "none is tested on" in other.notes[0]
    (batch,) = other.train.batches(10)
    assert batch.inputs.shape == (7, 1, 8, 8)
    assert not batch.labeled.any()


@pytest.mark.parametrize(
    ("train", "part", "named"),
    [
        ("train", "test", "test"),
        ("train", "val", "validation"),
        ("Training", "Testing", "test"),
        ("TRAIN", "dev", "validation"),
    ],
)
def test_the_test_part_has_the_datasets_labels(
    load: Load, folder, train: str, part: str, named: str
) -> None:
    folder(train, 5)
    folder(f"{part}/7", 3)
    folder(f"{part}/2", 4)
    data, other = load()
    assert other.test.source == named
    assert other.test.targets.tolist() == [2] * 4 + [7] * 3
    assert other.test.num_classes == 10
    assert other.domain == "pictures"
    assert other.digest != data.digest
    assert f"7 others, in {part}/, are tested on" in other.notes[0]
    assert other.notes[1].startswith("the test split of pictures has no sample of 8 of 10 classes")


def test_test_comes_before_val(load: Load, folder) -> None:
    folder("train", 5)
    folder("val/1", 3)
    folder("test/2", 2)
    _, other = load()
    assert other.test.targets.tolist() == [2, 2]


def test_class_folders_without_a_test_part_leave_a_share_to_test_on(load: Load, folder) -> None:
    for digit in range(10):
        folder(str(digit), 10)
    _, other = load(test=0.3)
    assert (other.train.size, other.test.size) == (70, 30)
    assert other.test.targets.bincount().tolist() == [3] * 10
    assert not {*other.train.ids.tolist()} & {*other.test.ids.tolist()}
    assert not other.train.targets.any()
    again = load(test=0.3)[1]
    assert again.test.ids.tolist() == other.test.ids.tolist()
    assert again.digest == other.digest


def test_inputs_are_normalized_as_the_teachers(load: Load, folder) -> None:
    folder("train", 3, size=(8, 8), mode="L")
    data, other = load()
    assert (other.info.inputs.mean, other.info.inputs.std) == (
        data.info.inputs.mean,
        data.info.inputs.std,
    )
    (batch,) = other.train.batches(3)
    pixels = batch.inputs * data.info.inputs.std[0] + data.info.inputs.mean[0]
    assert torch.allclose(pixels * 255, (pixels * 255).round(), atol=1e-3)


def test_a_streamed_set_streams_its_transfer_images_too(node, folder, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        folder(f"set/{name}", 12)
        folder(f"other/{name}", 5, size=(9, 9))
    given = {"root": str(tmp_path / "pictures/set"), "workers": 0}
    results = []
    for limit in (4.0, 0):
        settings = node("imagefolder", memory_limit=limit, **given)
        data = dataset.load(settings)
        place = str(tmp_path / "pictures/other")
        results.append(transfer_data(settings, data, place, "scheme.transfer"))
    (one,), (other,) = (made.train.batches(20) for made in results)
    assert torch.equal(one.inputs, other.inputs)
    assert results[0].test.ids.tolist() == results[1].test.ids.tolist()


def test_folders_that_are_half_classes_are_refused(load: Load, folder) -> None:
    folder("train", 5)
    folder("test/1", 2)
    folder("test/won", 2)
    with pytest.raises(UserError, match="no class of the dataset is called 'won'"):
        load()


def test_a_test_part_without_train_is_refused(load: Load, folder) -> None:
    folder("val/1", 2)
    with pytest.raises(UserError, match="has val/ and no train/"):
        load()


def test_too_few_images_are_refused(load: Load, folder) -> None:
    with pytest.raises(UserError, match=r"of scheme\.transfer does not exist"):
        load()
    folder("train", 1)
    with pytest.raises(UserError, match="has one image"):
        load()
