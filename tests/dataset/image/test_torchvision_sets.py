"""Datasets that torchvision reads, in small files of the same formats."""

import pickle
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torchvision import datasets

from kdrun import dataset
from kdrun.core.errors import UserError

IDX = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}
SETS = [*IDX, "cifar10", "cifar100", "svhn", "stl10"]


@pytest.fixture
def pixels() -> np.random.Generator:
    return np.random.default_rng(0)


def write_idx(root: Path, kind: str, images: np.ndarray, part: str) -> np.ndarray:
    """MNIST's file format: a magic number with type and dimensions, sizes, bytes."""
    raw = root / kind / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    labels = (np.arange(len(images)) % 10).astype(np.uint8)
    for values, name in ((images, f"{part}-images-idx3"), (labels, f"{part}-labels-idx1")):
        head = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">i4").tobytes()
        (raw / f"{name}-ubyte").write_bytes(head + values.tobytes())
    return labels


def write_mnist(root: Path, kind: str, pixels: np.random.Generator) -> np.ndarray:
    train, test = (pixels.integers(0, 256, (n, 28, 28), dtype=np.uint8) for n in (60, 20))
    write_idx(root, kind, train, "train")
    write_idx(root, kind, test, "t10k")
    return test


def load_small(node, name: str, root: Path, **changes):
    return dataset.load(node(name, root=str(root), download=False, **changes))


def images_tested_on(data) -> torch.Tensor:
    return data.test.feed.images


@pytest.mark.parametrize("name", IDX)
def test_idx_files_are_read(node, tmp_path, pixels, name):
    written = write_mnist(tmp_path, IDX[name], pixels)
    data = load_small(node, name, tmp_path)
    assert data.info.inputs.channels == 1
    assert data.info.inputs.image_size == (28, 28)
    assert data.info.num_classes == len(set(data.info.classes)) == 10
    assert data.train.size + data.validation.size == 60
    assert np.array_equal(images_tested_on(data).squeeze(-1).numpy(), written)
    assert data.test.targets.tolist() == list(range(10)) * 2


@pytest.mark.parametrize(
    ("name", "kind", "key"),
    [("cifar10", datasets.CIFAR10, "labels"), ("cifar100", datasets.CIFAR100, "fine_labels")],
)
def test_cifar_files_are_read(node, tmp_path, pixels, monkeypatch, name, kind, key):
    monkeypatch.setattr(kind, "train_list", [["one", None], ["two", None]])
    monkeypatch.setattr(kind, "test_list", [["three", None]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": None})
    folder = tmp_path / kind.base_folder
    folder.mkdir()
    classes = [f"class {label}" for label in range(4)]
    (folder / kind.meta["filename"]).write_bytes(pickle.dumps({kind.meta["key"]: classes}))
    for file in ("one", "two", "three"):
        planes = pixels.integers(0, 256, (20, 3 * 32 * 32), dtype=np.uint8)
        entry = {"data": planes, key: [position % 4 for position in range(20)]}
        (folder / file).write_bytes(pickle.dumps(entry))
    data = load_small(node, name, tmp_path, original={"classes": len(classes)})
    assert data.info.classes == tuple(classes)
    assert data.train.size + data.validation.size == 40
    expected = planes.reshape(20, 3, 32, 32).transpose(0, 2, 3, 1)
    assert np.array_equal(images_tested_on(data).numpy(), expected)


def test_svhn_files_are_read(node, tmp_path, pixels, monkeypatch):
    listed = {part: ["", f"{part}_32x32.mat", None] for part in ("train", "test")}
    monkeypatch.setattr(datasets.SVHN, "split_list", listed)
    for part in listed:
        images = pixels.integers(0, 256, (32, 32, 3, 40), dtype=np.uint8)
        labels = (np.arange(40) % 10 + 1).astype(np.uint8)[:, None]
        savemat(tmp_path / f"{part}_32x32.mat", {"X": images, "y": labels})
    data = load_small(node, "svhn", tmp_path)
    assert np.array_equal(images_tested_on(data).numpy(), images.transpose(3, 0, 1, 2))
    assert data.test.targets.tolist() == [*range(1, 10), 0] * 4


def test_stl10_files_are_read(node, tmp_path, pixels, monkeypatch):
    for listed in ("train_list", "test_list"):
        files = [[name, None] for name, _ in getattr(datasets.STL10, listed)]
        monkeypatch.setattr(datasets.STL10, listed, files)
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    (folder / "unlabeled_X.bin").write_bytes(b"")
    for part in ("train", "test"):
        images = pixels.integers(0, 256, (30, 3, 96, 96), dtype=np.uint8)
        images.tofile(folder / f"{part}_X.bin")
        (np.arange(30) % 10 + 1).astype(np.uint8).tofile(folder / f"{part}_y.bin")
    data = load_small(node, "stl10", tmp_path)
    assert np.array_equal(images_tested_on(data).numpy(), images.transpose(0, 3, 2, 1))
    assert data.test.targets.tolist() == list(range(10)) * 3


@pytest.mark.parametrize("name", SETS)
def test_a_missing_set_says_which_files_are_expected(node, tmp_path, name):
    with pytest.raises(UserError) as caught:
        load_small(node, name, tmp_path / "nowhere")
    first, files, mend = caught.value.lines
    assert first == f"dataset '{name}' is not in '{tmp_path / 'nowhere'}'."
    assert files.startswith("  expected there: ")
    assert files.count(",") >= 1
    assert mend.endswith("dataset.root=FOLDER, or download it with dataset.download=true")
    assert not (tmp_path / "nowhere").exists()


def test_the_missing_files_are_those_that_torchvision_reads(node, tmp_path, pixels):
    write_mnist(tmp_path, "MNIST", pixels)
    (tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UserError) as caught:
        load_small(node, "mnist", tmp_path)
    assert caught.value.lines[1] == "  expected there: MNIST/raw/t10k-labels-idx1-ubyte"


@pytest.mark.parametrize("name", SETS)
def test_a_fetch_that_fails_gives_the_reason_and_leaves_no_folders(
    node, tmp_path, monkeypatch, name
):
    def refuse(*_args, **_keywords):
        raise URLError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    root = tmp_path / "sets" / "here"
    with pytest.raises(UserError) as caught:
        dataset.load(node(name, root=str(root)))
    assert caught.value.status == 2
    assert caught.value.lines[0] == (
        f"dataset '{name}' is not in '{root}', and downloading it failed:"
        " <urlopen error no route to host>"
    )
    assert not (tmp_path / "sets").exists()


@pytest.mark.parametrize(
    ("size", "damage"),
    [
        (1000, "a file is cut, changed or of another format"),
        (2, "a file is cut, changed or of another format"),
        (0, "MNIST/raw/train-images-idx3-ubyte is empty"),
    ],
)
def test_a_truncated_file_is_damaged(node, tmp_path, pixels, size, damage):
    write_mnist(tmp_path, "MNIST", pixels)
    file = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(UserError) as caught:
        load_small(node, "mnist", tmp_path)
    assert caught.value.lines[0] == f"dataset 'mnist' in '{tmp_path}' is damaged: {damage}."


def test_a_file_with_another_checksum_is_damaged(node, tmp_path):
    for listed in (datasets.CIFAR10.train_list, datasets.CIFAR10.test_list):
        for name, _ in listed:
            path = tmp_path / "cifar-10-batches-py" / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"not the real thing")
    (tmp_path / "cifar-10-batches-py" / "batches.meta").write_bytes(b"")
    with pytest.raises(UserError, match=r"dataset 'cifar10' in .* is damaged"):
        load_small(node, "cifar10", tmp_path)


def test_a_label_outside_the_classes_is_named(node, tmp_path, pixels):
    write_mnist(tmp_path, "MNIST", pixels)
    file = tmp_path / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    file.write_bytes(file.read_bytes()[:-1] + bytes([12]))
    with pytest.raises(UserError) as caught:
        load_small(node, "mnist", tmp_path)
    assert caught.value.lines == (
        "dataset 'mnist': sample 19 of its test split has the label 12.",
        "  its 10 classes have the labels 0 to 9",
    )


@pytest.mark.parametrize("name", IDX)
@pytest.mark.parametrize(
    ("part", "split", "images"), [("train", "train", 60), ("t10k", "test", 20)]
)
@pytest.mark.parametrize("labels", [-3, 3])
def test_images_and_labels_of_different_numbers_are_refused(
    node, tmp_path, pixels, name, part, split, images, labels
):
    write_mnist(tmp_path, IDX[name], pixels)
    file = tmp_path / IDX[name] / "raw" / f"{part}-labels-idx1-ubyte"
    values = np.arange(images + labels, dtype=np.uint8) % 10
    head = bytes([0, 0, 8, 1]) + np.array(values.shape, ">i4").tobytes()
    file.write_bytes(head + values.tobytes())
    with pytest.raises(UserError) as caught:
        load_small(node, name, tmp_path)
    assert caught.value.lines[0] == (
        f"dataset '{name}': its {split} split has {images} images and {images + labels} labels."
    )


def test_classes_subset_and_size_of_a_set_of_tensors(node, tmp_path, pixels):
    write_mnist(tmp_path, "MNIST", pixels)
    data = load_small(node, "mnist", tmp_path, classes=["3", "5"], subset=6, image_size=32)
    assert data.info.classes == ("3", "5")
    assert data.train.size == 6
    assert data.info.inputs.image_size == (32, 32)


@pytest.mark.data
def test_mnist_reads_as_it_is_shared(node, shared_data):
    given = node("mnist", root=str(shared_data), download=False, mean=None, std=None)
    data = dataset.load(given)
    assert (data.train.size, data.validation.size, data.test.size) == (54_000, 6_000, 10_000)
    assert data.info.inputs.mean[0] == pytest.approx(0.1307, abs=5e-4)
    assert data.info.inputs.std[0] == pytest.approx(0.3081, abs=5e-4)
    assert data.test.targets[:5].tolist() == [7, 2, 1, 0, 4]
    ids = set(data.train.ids.tolist()) | set(data.validation.ids.tolist())
    assert len(ids) == 60_000
