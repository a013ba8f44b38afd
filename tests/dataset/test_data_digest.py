"""The digest changes with all that determines inputs, labels and splits, and with nothing else."""

import shutil
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kdrun import dataset
from kdrun.dataset.image.image_files import ImageFormat
from kdrun.dataset.image.images import InMemory, OnDisk
from kdrun.dataset.record import digest
from kdrun.dataset.splits import SplitSamples, number

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
def test_the_digest_of_files_changes_with_the_files_and_not_with_the_folder(
    node, folder, tmp_path, limit
):
    folder("cat", 8)
    root = folder("dog", 8)

    def digest_at(path) -> str:
        return dataset.load(node("imagefolder", root=str(path), memory_limit=limit)).digest

    first = digest_at(root)
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)
    assert digest_at(moved) == first
    Image.new("RGB", (8, 8), (1, 2, 3)).save(moved / "cat" / "003.png")
    assert digest_at(moved) != first


def test_augmentation_is_recorded_beside_the_digest(node):
    data = dataset.load(node("fake", **SMALL, augment={"crop": 1}))
    assert data.augment == {"crop": 1, "flip": True, "resized_crop": None}


@pytest.mark.parametrize(
    "change",
    [
        lambda split: replace(split, ids=split.ids + 1),
        lambda split: replace(split, source="test"),
        lambda split: replace(split, samples=split.samples.relabel(1 - split.targets)),
        lambda split: replace(
            split, samples=replace(split.samples, images=split.samples.images + 1)
        ),
    ],
)
def test_it_changes_with_ids_source_labels_and_pixels(change):
    split = small_split()
    assert small_digest(change(split)) != small_digest(split)


def small_split() -> SplitSamples:
    images = torch.arange(16, dtype=torch.uint8).view(4, 2, 2, 1)
    return number("train", InMemory(images, torch.tensor([0, 1, 1, 0])))


def small_digest(split: SplitSamples) -> str:
    return digest(["a", "b"], {"train": split}, [0.5], [0.5])


def test_digests_are_those_of_runs_made_before():
    """Artefacts in stores are found by digests: a change of these numbers loses them all."""
    assert small_digest(small_split()) == "ac3373ff1fd019809afd1ca7a2aab6147e5c0ed1"


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        (ImageFormat((8, 9), 3, None), "d6536a8589ec2257c70bfd67cfb243b9980ace24"),
        (None, "6b09f92898415a1213c4f55369b5327bcba8e90e"),
    ],
)
def test_hashes_of_files_are_those_of_runs_made_before(to, expected):
    names, sizes = np.array([b"a/1.png", b"b/2.png"]), np.array([10, 20])
    state = blake2b(digest_size=20)
    OnDisk(Path("x"), names, sizes, torch.tensor([0, 1]), 1.0, to).hash_into(state)
    assert state.hexdigest() == expected


def fake_origin(node, **changes) -> dict:
    return dataset.load(node("fake", **{**SMALL, **changes})).origin


@pytest.mark.parametrize("changes", [{"image_size": 16}, {"channels": 3}, {"subset": 100}])
def test_an_origin_does_not_change_with_the_size_that_images_are_resized_to(node, changes):
    load = dataset.load
    assert load(node("digits", **changes)).origin == load(node("digits")).origin


def test_an_origin_tells_which_images_are_held_out(node):
    first = fake_origin(node)
    assert fake_origin(node, subset=30) == first
    other = fake_origin(node, validation=0.2)
    assert other["pictures"] == first["pictures"]
    assert other["held_out"] != first["held_out"]
    assert other["split"] == {**first["split"], "validation": 0.2}


def test_an_origin_tells_numbered_files_of_one_size_apart(node, folder):
    folder("cat", 8)
    root = folder("dog", 8)
    first = dataset.load(node("imagefolder", root=str(root))).origin
    path = root / "cat" / "003.png"
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes(20))
    # Streamed and with statistics given, as the image can't be decoded any more.
    unread = {"memory_limit": 0.0, "mean": [0.5] * 3, "std": [0.5] * 3}
    other = dataset.load(node("imagefolder", root=str(root), **unread)).origin
    assert other["pictures"] != first["pictures"]
