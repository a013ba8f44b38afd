"""Folders of images: layouts, sizes, modes, streaming, and error messages."""

import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from kdrun import dataset
from kdrun.core.errors import BadSample, ConfigError, UserError
from kdrun.dataset.image.feeds import MemoryFeed, StreamFeed
from kdrun.dataset.image.image_files import Header


def write_three_parts(folder, size=(8, 8)):
    for part, count in (("train", 6), ("val", 3), ("test", 2)):
        for name in ("cat", "dog"):
            root = folder(f"{part}/{name}", count, size)
    return root


def load(node, root, **changes):
    return dataset.load(node("imagefolder", root=str(root), **changes))


def sentence(node, root, **changes) -> str:
    with pytest.raises(UserError) as caught:
        load(node, root, **changes)
    return str(caught.value)


def test_train_val_and_test_are_taken_as_they_are(node, folder):
    data = load(node, write_three_parts(folder))
    assert data.info.classes == ("cat", "dog")
    assert data.info.inputs.image_size == (8, 8)
    assert [split.size for split in (data.train, data.validation, data.test)] == [12, 6, 4]
    assert [split.source for split in (data.train, data.validation, data.test)] == [
        "train",
        "validation",
        "test",
    ]
    assert len(data.notes) == 2


SPLITS = [
    ("Training", "Testing", None),
    ("TRAIN", "TEST", "Val"),
    ("train", "testing", "valid"),
    ("training", "Test", "validation"),
    ("train", "eval", "dev"),
    ("train", "Evaluation", "VALID"),
]


@pytest.mark.parametrize(("train", "test", "validation"), SPLITS)
def test_splits_have_any_usual_name_in_any_case(node, folder, train, test, validation):
    for name in ("cat", "dog"):
        root = folder(f"{train}/{name}", 6)
        folder(f"{test}/{name}", 2)
        if validation:
            folder(f"{validation}/{name}", 3)
    data = load(node, root, validation=0.25)
    assert data.info.classes == ("cat", "dog")
    assert data.test.source == "test"
    assert data.validation.source == ("validation" if validation else "train")
    sizes = [split.size for split in (data.train, data.validation, data.test)]
    assert sizes == ([12, 6, 4] if validation else [9, 3, 4])


def test_two_folders_for_one_split_are_refused(node, folder):
    for part in ("train", "val", "Validation"):
        for name in ("cat", "dog"):
            root = folder(f"{part}/{name}", 3)
    assert sentence(node, root) == (
        f"the folder '{root}' has 'Validation' and 'val', which both name the validation split.\n"
        "  rename one or take it out"
    )


def test_number_and_names_of_the_classes_are_told(node, folder):
    data = load(node, write_three_parts(folder))
    assert data.notes[0] == "2 classes: cat, dog"
    digits = dataset.load(node("fake", num_classes=12, train_size=60, test_size=24, image_size=8))
    first = ", ".join(f"class {label}" for label in range(10))
    assert digits.notes[0] == f"12 classes: {first}, ..."


@pytest.mark.parametrize("below", ["", "train/"])
def test_class_folders_that_only_hold_folders_of_the_same_names_are_refused(node, folder, below):
    for part in ("Fold1", "Fold2"):
        for name in ("cat", "dog"):
            root = folder(f"{below}{part}/{name}", 3)
    folder(f"{below}Fold1/emu", 3)
    root.joinpath(below, "Fold1", "labels.csv").write_text("image,label\n")
    place = root / "train" if below else root
    assert sentence(node, root) == (
        f"the class folders 'Fold1' and 'Fold2' of '{place}' hold no images, only folders with the"
        " same names: 'cat', 'dog'.\n"
        "  if they are splits, call them train, val and test; if they are classes, move the images"
        " of each into its own folder"
    )


def test_class_folders_may_have_folders(node, folder):
    for name in ("cat", "dog"):
        root = folder(f"train/{name}/images", 6)
        folder(f"test/{name}", 2)
    assert load(node, root).info.classes == ("cat", "dog")
    folder("train/cat/images/more", 2), folder("train/dog/old", 3)
    assert load(node, root, validation=0.1).train.size == 15


def test_folders_beside_the_splits_are_named(node, folder):
    root = write_three_parts(folder)
    folder("holdout/cat", 1), folder("raw", 1)
    assert load(node, root).notes[2] == (
        f"not read, as splits are called train, val and test: 'holdout', 'raw' in '{root}'"
    )


def test_a_train_folder_without_class_folders_is_named(node, folder):
    folder("train", 3)
    root = folder("test/cat", 3)
    assert sentence(node, root).startswith(f"the folder '{root}/train' has no class folders.")


def test_pixels_and_labels_are_those_of_the_files(node, folder):
    root = write_three_parts(folder)
    data = load(node, root)
    files = sorted((root / "train").rglob("*.png"))
    for image, label, file in zip(data.train.feed.images, data.train.targets, files, strict=True):
        assert np.array_equal(image.numpy(), np.asarray(Image.open(file)))
        assert data.info.classes[label] == file.parent.name


def test_val_alone_is_the_test_split_and_that_is_said(node, folder):
    folder("train/cat", 10), folder("train/dog", 10)
    folder("val/cat", 3)
    root = folder("val/dog", 3)
    data = load(node, root, validation=0.2)
    assert [split.size for split in (data.train, data.validation, data.test)] == [16, 4, 6]
    assert data.notes[2] == f"'{root}/val' is the test split, as there is no test/ beside it"


def test_class_folders_in_the_root_are_carved(node, folder):
    folder("cat", 20)
    root = folder("dog", 20)
    data = load(node, root, test=0.25, validation=0.1)
    assert [split.size for split in (data.train, data.validation, data.test)] == [27, 3, 10]
    ids = [
        position
        for split in (data.train, data.validation, data.test)
        for position in split.ids.tolist()
    ]
    assert sorted(ids) == list(range(40))


def test_hidden_folders_and_other_files_are_passed_over(node, folder):
    root = write_three_parts(folder)
    (root / "train" / ".cache").mkdir()
    (root / "train" / "__MACOSX").mkdir()
    (root / "train" / "cat" / "notes.txt").write_text("no picture")
    (root / "train" / "cat" / "._000.png").write_text("left by a copy")
    assert load(node, root).train.size == 12


def test_memory_and_stream_agree(node, folder):
    root = write_three_parts(folder, (9, 12))
    kept = load(node, root, image_size=8)
    read = load(node, root, image_size=8, memory_limit=0.0)
    assert isinstance(kept.train.feed, MemoryFeed)
    assert isinstance(read.train.feed, StreamFeed)
    assert kept.info == read.info
    assert kept.info.inputs.mean == pytest.approx(read.info.inputs.mean)
    for make in (lambda s: s.batches(5), lambda s: s.epoch(0, 0, 0, 5)):
        for one, other in zip(make(kept.train), make(read.train), strict=True):
            assert torch.equal(one.inputs, other.inputs)
            assert torch.equal(one.targets, other.targets)


def test_two_threads_read_what_one_does(node, folder):
    root = write_three_parts(folder)
    one = load(node, root)
    torch.set_num_threads(2)
    assert load(node, root).digest == one.digest


def test_the_center_is_cut_out_of_the_resized_image(node, folder):
    root = write_three_parts(folder, (16, 16))
    data = load(node, root, image_size=8, center=0.5)
    picture = Image.open(root / "train" / "cat" / "000.png")
    assert np.array_equal(data.train.feed.images[0].numpy(), np.asarray(picture)[4:12, 4:12])


def test_resized_crops_are_streamed_and_exactly_repeated(node, folder):
    root = write_three_parts(folder, (20, 30))
    augment = {"crop": 0, "flip": True, "resized_crop": 0.3}
    data = load(node, root, image_size=16, augment=augment)
    assert isinstance(data.train.feed, StreamFeed)
    full = list(data.train.epoch(0, 0, 0, 4))
    again = list(data.train.epoch(0, 0, 0, 4, start_step=1))
    assert full[0].inputs.shape == (4, 3, 16, 16)
    assert all(
        torch.equal(one.inputs, other.inputs) for one, other in zip(full[1:], again, strict=True)
    )
    other = next(data.train.epoch(0, 1, 0, 4))
    assert torch.equal(other.index, full[0].index)
    assert not torch.equal(other.inputs, full[0].inputs)


def test_grey_images_make_a_grey_set(node, folder):
    folder("train/cat", 6, mode="L")
    root = folder("train/dog", 6, mode="L")
    assert load(node, root).info.inputs.channels == 1
    assert load(node, root, channels=3).info.inputs.channels == 3


def test_one_class_in_color_makes_a_color_set(node, folder):
    folder("train/cat", 6, mode="L")
    assert load(node, folder("train/dog", 6)).info.inputs.channels == 3


def test_sixteen_bits_are_scaled_not_cut_off(node, folder):
    root = folder("train/cat", 5, mode="L")
    folder("train/dog", 5, mode="L")
    wide = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    Image.fromarray(wide).save(root / "train" / "cat" / "000.png")
    data = load(node, root, test=0.2)
    parts = (data.train, data.validation, data.test)
    (image,) = [
        s.feed.images[position]
        for s in parts
        for position, i in enumerate(s.ids.tolist())
        if i == 0
    ]
    assert np.array_equal(image.squeeze(-1).numpy(), wide >> 8)


def test_palettes_with_transparency_are_read(node, folder):
    root = write_three_parts(folder)
    picture = Image.new("P", (8, 8))
    picture.putpalette([255, 0, 0] * 256)
    picture.save(root / "train" / "cat" / "000.png", transparency=bytes([128] * 256))
    assert load(node, root).train.feed.images[0, 0, 0].tolist() == [255, 0, 0]


def test_classes_and_class_map_and_subset(node, folder):
    for name in ("cat", "dog", "frog"):
        folder(f"train/{name}", 8)
        root = folder(f"test/{name}", 2)
    data = load(node, root, classes=["frog", "cat"], subset=4)
    assert data.info.classes == ("frog", "cat")
    assert (data.train.size, data.test.size) == (4, 4)
    joined = load(node, root, class_map={"pet": ["cat", "dog"], "other": ["frog"]})
    assert joined.test.targets.tolist() == [0, 0, 0, 0, 1, 1]


def test_an_unknown_class_names_the_nearest(node, folder):
    with pytest.raises(ConfigError) as caught:
        load(node, write_three_parts(folder), classes=["dgo", "cat"])
    assert str(caught.value) == "dataset.classes: no class is called 'dgo'.\n  nearest: dog"


def test_a_missing_root_says_what_is_expected(node, tmp_path):
    root = tmp_path / "photos"
    assert sentence(node, root) == (
        f"dataset 'imagefolder' is not in '{root}'.\n"
        f"  expected: {root}/train/CLASS/*.jpg, with {root}/test/ or {root}/val/ beside train/,\n"
        f"  or {root}/CLASS/*.jpg; name the folder with dataset.root=FOLDER"
    )


def test_test_without_train_says_what_is_expected(node, folder):
    assert "expected: " in sentence(node, folder("test/cat", 2))


def test_an_empty_class_folder_is_named(node, folder):
    root = write_three_parts(folder)
    (root / "train" / "emu").mkdir()
    assert sentence(node, root).startswith(
        f"the class folder '{root}/train/emu' has no images.\n  put some in (.jpg, "
    )


def test_a_class_that_training_has_not_is_named(node, folder):
    write_three_parts(folder)
    root = folder("test/emu", 1)
    assert sentence(node, root).startswith(
        f"the folder '{root}/test' has the class 'emu', which train/ does not have."
    )


def test_a_test_folder_without_classes_is_named(node, folder):
    folder("train/cat", 3)
    root = folder("train/dog", 3)
    (root / "test").mkdir()
    assert sentence(node, root).startswith(f"the folder '{root}/test' has no class folders.")


def test_one_class_is_too_few(node, folder):
    assert "only the class 'cat' is left" in sentence(node, folder("train/cat", 3))


@pytest.mark.parametrize("limit", [4.0, 0.0])
def test_images_of_several_sizes_need_an_image_size(node, folder, limit):
    write_three_parts(folder)
    root = folder("train/cat", 1, (9, 5), first=3)
    message = sentence(node, root, memory_limit=limit, mean=[0.5] * 3, std=[0.5] * 3)
    assert message.startswith("the images differ in size: ")
    assert message.endswith("resize them all: dataset.image_size=8")
    assert load(node, root, image_size=8).info.inputs.image_size == (8, 8)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_an_unreadable_image_is_named(node, folder, damage):
    root = write_three_parts(folder)
    file = root / "train" / "dog" / "002.png"
    full = file.read_bytes()
    file.write_bytes({"truncated": full[: len(full) // 2], "text": b"hello", "empty": b""}[damage])
    assert sentence(node, root).startswith(f"the image '{file}' can't be read: ")


def test_an_unreadable_image_is_named_while_streaming(node, folder):
    root = write_three_parts(folder)
    data = load(node, root, memory_limit=0.0)
    file = root / "train" / "dog" / "002.png"
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(BadSample, match=r"002\.png' can't be read"):
        list(data.train.batches(4))


@pytest.mark.parametrize("limit", [4.0, 0.0])
@pytest.mark.parametrize("first", [0, 1])
def test_all_unreadable_images_are_named(node, folder, limit, first):
    root = write_three_parts(folder)
    files = [root / "train/cat" / f"{position:03}.png" for position in range(first, 5)]
    files += [root / "val/dog/001.png", root / "test/cat/000.png"]
    for file in files:
        file.write_bytes(b"hello")
    message = sentence(node, root, memory_limit=limit, mean=[0.5] * 3, std=[0.5] * 3).splitlines()
    assert message[0] == f"{len(files)} images can't be read."
    assert [line.partition(": ")[0] for line in message[1:6]] == [
        f"  '{file}'" for file in files[:5]
    ]
    assert message[6:] == [
        f"  and {len(files) - 5} more",
        "  repair them or take them out of the folder",
    ]


def test_of_very_many_images_a_sample_is_opened(node, folder, monkeypatch):
    monkeypatch.setattr("kdrun.dataset.image.resize._MOST_HEADERS", 4)
    monkeypatch.setattr("kdrun.dataset.image.resize._SAMPLED_HEADERS", 3)
    opened = []

    def read_header(path):
        opened.append(path)
        return Header((8, 8), False)

    monkeypatch.setattr("kdrun.dataset.image.resize.read_header", read_header)
    words = {"memory_limit": 0.0, "image_size": 8, "channels": 3}
    load(node, write_three_parts(folder), **words)
    assert len(opened) == 3 + 3 + 4  # of 12 for training, 6 for validation, and all 4 for test


def test_all_empty_class_folders_are_named(node, folder):
    root = write_three_parts(folder)
    for name in "abcdefg":
        (root / "train" / name).mkdir()
    named = ", ".join(f"'{root}/train/{name}'" for name in "abcde")
    message = sentence(node, root).splitlines()
    assert message[0] == f"7 class folders have no images: {named} and 2 more."
    assert message[1].endswith(" or delete them")


def test_imagenet_names_its_folders_and_archives(node, tmp_path):
    with pytest.raises(UserError) as caught:
        dataset.load(node("imagenet", root=str(tmp_path)))
    lines = caught.value.lines
    assert lines[0] == f"dataset 'imagenet' is not in '{tmp_path}'."
    assert f"{tmp_path}/train/n01440764/*.JPEG" in lines[1]
    assert "ILSVRC2012_img_train.tar" in lines[2]


def test_imagenet_is_read_from_train_and_val(node, folder):
    for name in ("n01440764", "n01443537"):
        folder(f"train/{name}", 6, (40, 50))
        root = folder(f"val/{name}", 2, (40, 50))
    data = dataset.load(node("imagenet", root=str(root), image_size=28, validation=0.5))
    assert data.info.classes == ("n01440764", "n01443537")
    assert [split.size for split in (data.train, data.validation, data.test)] == [6, 6, 4]
    assert next(data.train.epoch(0, 0, 0, 4)).inputs.shape == (4, 3, 28, 28)
    assert next(data.test.batches(4)).inputs.shape == (4, 3, 28, 28)


@pytest.mark.data
def test_images_of_the_shared_cifar_folder_are_read(node, shared_data, tmp_path):
    taken: dict[str, int] = {}
    with tarfile.open(shared_data / "cifar10-images.tar") as archive:
        for member in archive:
            place = member.name.rpartition("/")[0]
            if not member.isfile() or taken.get(place, 0) == 3:
                continue
            taken[place] = taken.get(place, 0) + 1
            content = archive.extractfile(member)
            assert content is not None
            picture = Image.open(io.BytesIO(content.read()))
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            picture.save(tmp_path / member.name)
            if len(taken) >= 4 and set(taken.values()) == {3}:
                break
    (root,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    data = load(node, root, test=0.4)
    assert data.info.inputs.image_size == (32, 32)
    assert data.info.inputs.channels == 3
