"""The digest changes with all that determines inputs, labels and splits, and with nothing else."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kdrun import dataset
from kdrun.core.errors import UserError
from kdrun.dataset.image import contents
from kdrun.dataset.image.image_files import ImageFormat
from kdrun.dataset.image.images import InMemory, OnDisk
from kdrun.dataset.image.transfer import transfer_data
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


def swap_content(path: Path) -> None:
    """Replace an image by another one in a file of the same size."""
    size = path.stat().st_size
    image = Image.open(path).transpose(Image.Transpose.ROTATE_180)
    image.save(path, compress_level=0)
    content = path.read_bytes()
    path.write_bytes(content + bytes(size - len(content)))


@pytest.fixture
def streamed(node, folder) -> Callable[[], str]:
    """The digest of a folder that is streamed, with statistics given: no pixel is read for it."""
    for part, count in (("train", 8), ("val", 3), ("test", 3), ("more", 4)):
        for name in ("cat", "dog"):
            root = folder(f"{part}/{name}", count)
    for path in root.rglob("*.png"):
        Image.open(path).save(path, compress_level=0)
    given = {"mean": [0.5] * 3, "std": [0.5] * 3, "memory_limit": 0.0}
    given |= {"root": str(root), "unlabeled": str(root / "more")}
    return lambda: dataset.load(node("imagefolder", **given)).digest


@pytest.mark.parametrize("part", ["train", "val", "test", "more"])
def test_the_content_of_streamed_images_counts(streamed, folder, part) -> None:
    first, path = streamed(), folder(f"{part}/cat", 0) / part / "cat" / "002.png"
    size = path.stat().st_size
    swap_content(path)
    assert path.stat().st_size == size
    assert streamed() != first
    swap_content(path)
    assert streamed() == first


def test_the_content_of_a_streamed_transfer_folder_counts(node, folder) -> None:
    for name in ("cat", "dog"):
        root = folder(f"set/{name}", 8)
        folder(f"other/{name}", 6)
    for path in root.rglob("*.png"):
        Image.open(path).save(path, compress_level=0)
    given = {"mean": [0.5] * 3, "std": [0.5] * 3, "memory_limit": 0.0}
    settings = node("imagefolder", root=str(root / "set"), **given)

    def transfer_digest() -> str:
        place = str(root / "other")
        return transfer_data(settings, dataset.load(settings), place, "scheme.transfer").digest

    first = transfer_digest()
    swap_content(root / "other/cat/004.png")
    assert transfer_digest() != first


def test_files_are_hashed_once_while_they_stay(streamed, folder, monkeypatch) -> None:
    read = []
    original = contents.hash_file
    monkeypatch.setattr(contents, "hash_file", lambda path: read.append(path) or original(path))
    first = streamed()
    assert {path.parent.parent.name for path in read} == {"train", "val", "test", "more"}
    read.clear()
    assert streamed() == first
    assert not read
    os.utime(folder("val/cat", 0) / "val/cat/001.png", (1, 1))
    assert streamed() == first
    assert {path.parent.parent.name for path in read} == {"val"}


def test_hashes_that_cannot_be_kept_are_made_again(streamed, tmp_path, monkeypatch) -> None:
    first = streamed()
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert streamed() == first


def test_a_file_that_was_just_removed_is_named(streamed, monkeypatch) -> None:
    def remove(path: Path) -> None:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr("kdrun.dataset.image.contents.open_named", remove)
    with pytest.raises(UserError, match=r"images can't be read\."):
        streamed()


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
