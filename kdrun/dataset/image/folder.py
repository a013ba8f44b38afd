"""Any folder of class folders: train/CLASS/*.jpg, with val/ and test/ or one carved split."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets.folder import IMG_EXTENSIONS

from kdrun.core.errors import UserError
from kdrun.core.ranges import UnitAboveZero
from kdrun.dataset.image.pictures import OnDisk, RawDataset
from kdrun.dataset.settings import Folder

_NAMED = 5  # of many empty folders


def read_imagefolder(root: Folder, center: UnitAboveZero) -> RawDataset:
    """A folder with train/ and perhaps val/ and test/, or with class folders in itself.

    Args:
        root: the folder.
        center: share of the resized picture that the center crop keeps.

    Raises:
        UserError: nothing like it is there, or a class folder is empty.
    """
    train = root / "train" if (root / "train").is_dir() else root
    others = {name: root / name for name in ("val", "test") if (root / name).is_dir()}
    classes = class_folders(train)
    if not classes or (train == root and others):
        raise _absent(root)
    parts = {name: list_pictures(folder, classes, center) for name, folder in others.items()}
    notes: tuple[str, ...] = ()
    if "val" in parts and "test" not in parts:
        parts["test"] = parts.pop("val")
        notes = (f"{str(root / 'val')!r} is the test split, as there is no test/ beside it",)
    return RawDataset(
        tuple(classes),
        list_pictures(train, classes, center),
        validation=parts.get("val"),
        test=parts.get("test"),
        notes=notes,
    )


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and _visible(entry.name))


def list_pictures(folder: Path, classes: list[str], center: float) -> OnDisk:
    """The picture files below each class folder, in the order of their names.

    Raises:
        UserError: a class folder is empty, or is there that training knows nothing of.
    """
    unknown = sorted(set(class_folders(folder)) - set(classes))
    if unknown:
        raise UserError(
            f"the folder {str(folder)!r} has the class {unknown[0]!r}, which training has not.",
            "  the class folders of train/, val/ and test/ must have the same names",
        )
    pictures = {
        label: sorted(pictures_below(folder / name))
        for label, name in enumerate(classes)
        if (folder / name).is_dir()
    }
    _refuse_empty([folder / classes[label] for label, paths in pictures.items() if not paths])
    found = [
        (os.fsencode(path.relative_to(folder)), path.stat().st_size, label)
        for label, paths in pictures.items()
        for path in paths
    ]
    if not found:
        raise UserError(
            f"the folder {str(folder)!r} has no class folders.",
            "  put one in for each class, or delete it",
        )
    names, sizes, labels = zip(*found, strict=True)
    return OnDisk(folder, np.array(names), np.array(sizes), torch.tensor(labels), center)


def _refuse_empty(folders: list[Path]) -> None:
    if not folders:
        return
    named = ", ".join(repr(str(folder)) for folder in folders[:_NAMED])
    more = f" and {len(folders) - _NAMED} more" if folders[_NAMED:] else ""
    one = len(folders) == 1
    raise UserError(
        f"the class folder {named} has no pictures."
        if one
        else f"{len(folders)} class folders have no pictures: {named}{more}.",
        f"  put some in ({', '.join(IMG_EXTENSIONS)}) or delete {'it' if one else 'them'}",
    )


def loose_pictures(where: str, folder: Path) -> OnDisk:
    """All picture files below a folder, in the order of their names; without labels.

    Args:
        where: the folder's key in the config, for the messages.
        folder: flat, or with folders in it.

    Raises:
        UserError: it is not there, or has none.
    """
    paths = sorted(pictures_below(folder))
    if not paths:
        what = "has no pictures" if folder.is_dir() else "is not there"
        raise UserError(
            f"the folder {str(folder)!r} {what}, and {where} names it.",
            f"  name one with files like {', '.join(IMG_EXTENSIONS[:4])} in it",
        )
    names = np.array([os.fsencode(path.relative_to(folder)) for path in paths])
    sizes = np.array([path.stat().st_size for path in paths])
    return OnDisk(folder, names, sizes, torch.zeros(len(paths), dtype=torch.int64), center=1.0)


def pictures_below(folder: Path) -> Iterator[Path]:
    """The picture files in a folder and the folders in it."""
    for place, _, files in os.walk(folder, followlinks=True):
        for file in files:
            if file.lower().endswith(IMG_EXTENSIONS) and _visible(file):
                yield Path(place, file)


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _absent(root: Path) -> UserError:
    return UserError(
        f"dataset 'imagefolder' is not in {str(root)!r}.",
        f"  expected: {root}/train/CLASS/*.jpg, with {root}/test/ or {root}/val/ beside train/,",
        f"  or {root}/CLASS/*.jpg; name the folder with dataset.root=FOLDER",
    )
