"""The digest changes with all that determines inputs, labels and splits, and with nothing else."""

import shutil
from dataclasses import replace

import pytest
import torch
from PIL import Image

from kdrun import dataset
from kdrun.dataset.image.pictures import InMemory
from kdrun.dataset.record import digest
from kdrun.dataset.splits import number

SMALL = {"train_size": 60, "test_size": 20, "image_size": 8}


def fake_digest(node, **changes) -> str:
    return dataset.load(node("fake", **{**SMALL, **changes})).digest


def test_it_repeats(node):
    assert fake_digest(node) == fake_digest(node)


@pytest.mark.parametrize(
    "changes",
    [
        {"split_seed": 1},
        {"validation": 0.2},
        {"subset": 30},
        {"classes": [1, 0, 2, 3, 4, 5, 6, 7, 8, 9]},
        {"class_map": {"a": [0, 1, 2, 3, 4], "b": [5, 6, 7, 8, 9]}},
        {"image_size": 9},
        {"channels": 1},
        {"mean": [0.5] * 3, "std": [0.5] * 3},
        {"train_size": 70},
    ],
)
def test_it_changes_with(node, changes):
    assert fake_digest(node, **changes) != fake_digest(node)


@pytest.mark.parametrize(
    "changes",
    [
        {"root": "elsewhere"},
        {"download": False},
        {"workers": 3},
        {"memory_limit": 0.0},
        {"augment": {"crop": 1}},
        {"test": 0.5},
    ],
)
def test_it_does_not_change_with(node, changes):
    assert fake_digest(node, **changes) == fake_digest(node)


@pytest.mark.parametrize("limit", [4.0, 0.0])
def test_of_files_it_changes_with_them_and_not_with_their_place(node, folder, tmp_path, limit):
    folder("cat", 8)
    root = folder("dog", 8)

    def digest_at(place) -> str:
        return dataset.load(node("imagefolder", root=str(place), memory_limit=limit)).digest

    first = digest_at(root)
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)
    assert digest_at(moved) == first
    Image.new("RGB", (8, 8), (1, 2, 3)).save(moved / "cat" / "003.png")
    assert digest_at(moved) != first


def test_what_augments_is_told_beside_it(node):
    data = dataset.load(node("fake", **SMALL, augment={"crop": 1}))
    assert data.augment == {"crop": 1, "flip": True, "resized_crop": None}


@pytest.mark.parametrize(
    "change",
    [
        lambda part: replace(part, ids=part.ids + 1),
        lambda part: replace(part, name="test"),
        lambda part: replace(part, pictures=replace(part.pictures, targets=1 - part.targets)),
        lambda part: replace(
            part, pictures=replace(part.pictures, images=part.pictures.images + 1)
        ),
    ],
)
def test_it_holds_pixels_labels_and_places(change):
    images = torch.arange(16, dtype=torch.uint8).view(4, 2, 2, 1)
    part = number("train", InMemory(images, torch.tensor([0, 1, 1, 0])))
    first, second = (digest(["a", "b"], {"train": p}, [0.5], [0.5]) for p in (part, change(part)))
    assert first != second


def fake_origin(node, **changes) -> dict:
    return dataset.load(node("fake", **{**SMALL, **changes})).origin


@pytest.mark.parametrize("changes", [{"image_size": 16}, {"channels": 3}, {"subset": 100}])
def test_an_origin_does_not_change_with_what_pictures_are_brought_to(node, changes):
    load = dataset.load
    assert load(node("digits", **changes)).origin == load(node("digits")).origin


def test_an_origin_knows_which_pictures_are_held_out(node):
    first = fake_origin(node)
    assert fake_origin(node, subset=30) == first
    other = fake_origin(node, validation=0.2)
    assert other["pictures"] == first["pictures"]
    assert other["held_out"] != first["held_out"]
    assert other["split"] == {**first["split"], "validation": 0.2}


def test_an_origin_knows_numbered_files_of_one_size_apart(node, folder):
    folder("cat", 8)
    root = folder("dog", 8)
    first = dataset.load(node("imagefolder", root=str(root))).origin
    path = root / "cat" / "003.png"
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes(20))
    # Streamed and with statistics given, as the picture can't be decoded any more.
    unread = {"memory_limit": 0.0, "mean": [0.5] * 3, "std": [0.5] * 3}
    other = dataset.load(node("imagefolder", root=str(root), **unread)).origin
    assert other["pictures"] != first["pictures"]
