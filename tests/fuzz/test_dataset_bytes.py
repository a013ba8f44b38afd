"""Files of data with other bytes: images, or a sentence that names the file or the dataset."""

import io
import pickle
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
from damage import Damage, damage_bytes, damages
from fuzzer import fuzz
from PIL import Image
from scipy.io import savemat
from torchvision import datasets

from kdrun.core.errors import UserError
from kdrun.core.registry import resolve
from kdrun.dataset.image.image_files import read_header, read_image
from kdrun.dataset.table import DATASETS

KINDS = ("flip", "flip", "cut", "insert", "zeros", "empty")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
@pytest.mark.filterwarnings("ignore")  # of Pillow, about what is damaged
def test_an_image_of_other_bytes_is_read_or_named(kind: str, tmp_path: Path) -> None:
    packed = io.BytesIO()
    pixels = np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)
    Image.fromarray(pixels).save(packed, format=kind)
    path = tmp_path / f"image.{kind.lower()}"

    def end_of(damage: Damage) -> str:
        content = packed.getvalue()
        place = damage.where % len(content)
        path.write_bytes(damage_bytes(content, damage.kind, place))
        for read in (read_header, lambda path: read_image(path, 3)):
            try:
                read(path)
            except UserError as error:
                if path.name not in str(error):
                    return f"another file is named: {error}"
            except Exception as error:  # noqa: BLE001 - what a fuzzer reports
                return f"{type(error).__name__}: {error}"
        return ""

    count, wrong = fuzz(damages(KINDS), end_of)
    assert not wrong, f"{len(wrong)} wrong ends of {count}: {wrong}"


@pytest.mark.parametrize("name", ["mnist", "svhn", "stl10", "cifar10"])
def test_a_dataset_of_other_bytes_is_read_or_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = WRITERS[name](tmp_path, monkeypatch)
    contents = {file: file.read_bytes() for file in files}
    read = resolve("dataset", DATASETS, name)

    def end_of(damage: Damage) -> str:
        path = files[damage.file % len(files)]
        content = contents[path]
        # Half of the faults are in the head, which has the sizes.
        place = damage.where // 2 % (len(content) if damage.where % 2 else min(len(content), 200))
        path.write_bytes(damage_bytes(content, damage.kind, place))
        try:
            read(root=tmp_path, download=False)
        except UserError as error:
            return "" if repr(name) in str(error) else f"not named: {error}"
        except Exception as error:  # noqa: BLE001 - what a fuzzer reports
            return f"{type(error).__name__}: {error}"[:200]
        finally:
            path.write_bytes(content)
        return ""

    count, wrong = fuzz(damages(KINDS), end_of)
    assert not wrong, f"{len(wrong)} wrong ends of {count}: {wrong}"


def write_mnist(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind, shape in (("images-idx3", (6, 28, 28)), ("labels-idx1", (6,))):
            head = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">i4").tobytes()
            (raw / f"{part}-{kind}-ubyte").write_bytes(head + np.ones(shape, np.uint8).tobytes())
    return sorted(raw.iterdir())


def write_svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """With the checksums that torchvision compares: SciPy's reader can crash on changed bytes."""
    for part in ("train", "test"):
        content = {"X": np.ones((32, 32, 3, 2), np.uint8), "y": np.ones((2, 1), np.uint8)}
        savemat(root / f"{part}_32x32.mat", content)
    files = sorted(root.iterdir())
    sums = {path.stem.partition("_")[0]: md5(path.read_bytes()).hexdigest() for path in files}
    listed = {part: ["", f"{part}_32x32.mat", value] for part, value in sums.items()}
    monkeypatch.setattr(datasets.SVHN, "split_list", listed)
    return files


def write_stl10(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    for listed in ("train_list", "test_list"):
        names = [[name, None] for name, _ in getattr(datasets.STL10, listed)]
        monkeypatch.setattr(datasets.STL10, listed, names)
    folder = root / "stl10_binary"
    folder.mkdir()
    (folder / "unlabeled_X.bin").write_bytes(b"")
    for part in ("train", "test"):
        np.ones((2, 3, 96, 96), np.uint8).tofile(folder / f"{part}_X.bin")
        np.ones(2, np.uint8).tofile(folder / f"{part}_y.bin")
    return sorted(path for path in folder.iterdir() if path.stat().st_size)


def write_cifar(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """With the checksums that torchvision compares: a changed file is never unpickled."""
    kind = datasets.CIFAR10
    folder = root / kind.base_folder
    folder.mkdir()
    entry = {"data": np.ones((2, 3 * 32 * 32), np.uint8), "labels": [0, 1]}
    for name, content in (
        ("one", entry),
        ("two", entry),
        (kind.meta["filename"], {kind.meta["key"]: ["a", "b"]}),
    ):
        (folder / name).write_bytes(pickle.dumps(content))
    sums = {path.name: md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    monkeypatch.setattr(kind, "train_list", [["one", sums["one"]]])
    monkeypatch.setattr(kind, "test_list", [["two", sums["two"]]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": sums[kind.meta["filename"]]})
    return sorted(folder.iterdir())


WRITERS = {"mnist": write_mnist, "svhn": write_svhn, "stl10": write_stl10, "cifar10": write_cifar}
