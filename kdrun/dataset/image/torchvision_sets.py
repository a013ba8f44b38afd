"""Datasets that torchvision downloads and reads, as tensors."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torchvision import datasets

from kdrun.core.errors import UserError
from kdrun.dataset.image.images import InMemory
from kdrun.dataset.samples import RawDataset
from kdrun.dataset.settings import Folder

_Choices = tuple[dict[str, Any], dict[str, Any]]

_DIGITS = tuple(str(digit) for digit in range(10))
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_STL10 = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")

# The arguments with which torchvision's datasets choose the training and the test split.
_TRAIN_FLAGS: _Choices = ({"train": True}, {"train": False})
_SPLIT_NAMES: _Choices = ({"split": "train"}, {"split": "test"})


def read_mnist(root: Folder, download: bool) -> RawDataset[InMemory]:
    """LeCun et al. 1998: 60,000 and 10,000 handwritten digits, 28x28, grey."""
    return _read_idx("mnist", datasets.MNIST, root, download, _DIGITS)


def read_fashion_mnist(root: Folder, download: bool) -> RawDataset[InMemory]:
    """Xiao et al. 2017, arXiv:1708.07747: 60,000 and 10,000 pieces of clothing, 28x28, grey."""
    dataset_class = datasets.FashionMNIST
    return _read_idx("fashion_mnist", dataset_class, root, download, tuple(dataset_class.classes))


def read_kmnist(root: Folder, download: bool) -> RawDataset[InMemory]:
    """Clanuwat et al. 2018, arXiv:1812.01718: 60,000 and 10,000 cursive kana, 28x28, grey."""
    return _read_idx("kmnist", datasets.KMNIST, root, download, _KANA)


def read_cifar10(root: Folder, download: bool) -> RawDataset[InMemory]:
    """Krizhevsky 2009: 50,000 and 10,000 photographs of 10 classes, 32x32."""
    return _read_cifar("cifar10", datasets.CIFAR10, root, download)


def read_cifar100(root: Folder, download: bool) -> RawDataset[InMemory]:
    """Krizhevsky 2009: 50,000 and 10,000 photographs of 100 classes, 32x32."""
    return _read_cifar("cifar100", datasets.CIFAR100, root, download)


def read_svhn(root: Folder, download: bool) -> RawDataset[InMemory]:
    """Netzer et al. 2011: 73,257 and 26,032 digits of house numbers, 32x32."""
    dataset_class = datasets.SVHN
    files = [dataset_class.split_list[split][1] for split in ("train", "test")]
    splits = _open_splits("svhn", dataset_class, root, files, download, _SPLIT_NAMES)
    train, test = (_channels_last(split) for split in splits)
    return RawDataset(_DIGITS, train, test=test)


def read_stl10(root: Folder, download: bool) -> RawDataset[InMemory]:
    """Coates et al. 2011: 5,000 and 8,000 labeled photographs of 10 classes, 96x96."""
    dataset_class = datasets.STL10
    files = [
        f"{dataset_class.base_folder}/{name}"
        for name, _ in [*dataset_class.train_list, *dataset_class.test_list]
    ]
    splits = _open_splits("stl10", dataset_class, root, files, download, _SPLIT_NAMES)
    train, test = (_channels_last(split) for split in splits)
    return RawDataset(_STL10, train, test=test)


def _read_idx(
    name: str,
    dataset_class: type[datasets.MNIST],
    root: Path,
    download: bool,
    classes: tuple[str, ...],
) -> RawDataset[InMemory]:
    archives = [archive for archive, _ in dataset_class.resources]
    files = [f"{dataset_class.__name__}/raw/{archive.removesuffix('.gz')}" for archive in archives]
    splits = _open_splits(name, dataset_class, root, files, download, _TRAIN_FLAGS)
    train, test = (InMemory(split.data.unsqueeze(-1), split.targets.long()) for split in splits)
    return RawDataset(classes, train, test=test)


def _read_cifar(
    name: str, dataset_class: type[datasets.CIFAR10], root: Path, download: bool
) -> RawDataset[InMemory]:
    entries = [
        *dataset_class.train_list,
        *dataset_class.test_list,
        [dataset_class.meta["filename"]],
    ]
    files = [f"{dataset_class.base_folder}/{file[0]}" for file in entries]
    splits = _open_splits(name, dataset_class, root, files, download, _TRAIN_FLAGS)
    train, test = (
        InMemory(torch.from_numpy(split.data), torch.tensor(split.targets)) for split in splits
    )
    return RawDataset(tuple(splits[0].classes), train, test=test)


def _channels_last(split: Any) -> InMemory:
    """Permute torchvision's images (N, C, H, W) to (N, H, W, C)."""
    images = torch.from_numpy(split.data).permute(0, 2, 3, 1).contiguous()
    return InMemory(images, torch.from_numpy(split.labels).long())


def _open_splits(
    name: str,
    dataset_class: type[Any],
    root: Path,
    files: Sequence[str],
    download: bool,
    choices: _Choices,
) -> list[Any]:
    """Return torchvision's objects of the training and the test split.

    Args:
        name: the dataset's name, for the messages.
        dataset_class: torchvision's class.
        root: the folder with the files.
        files: the files that torchvision reads, relative to the root.
        download: whether missing files are downloaded.
        choices: the arguments that choose the training and the test split.

    Raises:
        UserError: files are missing and weren't downloaded, or are damaged.
    """
    missing = [file for file in files if not (root / file).is_file()]
    if missing and not download:
        raise _missing_files_error(name, root, missing, "")
    new_folders = _folders_to_make(root, missing)
    try:
        return [dataset_class(root, **choice, download=bool(missing)) for choice in choices]
    except MemoryError:
        raise
    except Exception as error:
        _remove_empty(new_folders)
        if missing:
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise _missing_files_error(name, root, missing, reason[0]) from error
        empty = [file for file in files if not (root / file).stat().st_size]
        damage = f"{empty[0]} is empty" if empty else "a file is cut, changed or of another format"
        raise UserError(
            f"dataset {name!r} in {str(root)!r} is damaged: {damage}.",
            f"  empty {str(Path(root, files[0]).parent)!r} and download it again:"
            " dataset.download=true",
        ) from error


def _folders_to_make(root: Path, missing: Sequence[str]) -> list[Path]:
    """Return the folders that a download will make, the deepest first."""
    parents = {folder for file in missing for folder in Path(root, file).absolute().parents}
    return sorted((folder for folder in parents if not folder.exists()), reverse=True)


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove the empty folders of a failed download; folders with partial files stay."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _missing_files_error(name: str, root: Path, missing: Sequence[str], reason: str) -> UserError:
    failure = f", and downloading it failed: {reason}" if reason else "."
    hint = "" if reason else ", or download it with dataset.download=true"
    return UserError(
        f"dataset {name!r} is not in {str(root)!r}{failure}",
        f"  expected there: {', '.join(missing)}",
        f"  name its folder with dataset.root=FOLDER{hint}",
    )
