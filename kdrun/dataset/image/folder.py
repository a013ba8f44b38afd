"""Folders of class folders of images: train/CLASS/*.jpg, with or without val/ and test/."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets.folder import IMG_EXTENSIONS

from kdrun.core.errors import UserError
from kdrun.core.ranges import UnitAboveZero
from kdrun.dataset.folder_layout import class_folders, is_visible, quote_names, split_folders
from kdrun.dataset.image.class_folders import check_class_folders
from kdrun.dataset.image.images import OnDisk
from kdrun.dataset.samples import RawDataset
from kdrun.dataset.settings import Folder

_MAX_NAMED = 5  # empty folders that a message names


def read_imagefolder(root: Folder, center: UnitAboveZero) -> RawDataset[OnDisk]:
    """Read a folder with train/ and perhaps val/ and test/, or of class folders.

    Each split may have any of its usual names, such as Training/ or valid/.

    Args:
        root: the folder.
        center: share of a resized image that the center crop keeps.

    Raises:
        UserError: there are no class folders, or one is empty, or they look like splits.
    """
    folders = split_folders(root)
    train = folders.get("train", root)
    classes = class_folders(train)
    if train == root and (folders or not classes):
        raise _missing_dataset_error(root)
    check_class_folders(train, classes)
    notes = _note_unread(root, folders)
    if "validation" in folders and "test" not in folders:
        folders["test"] = folders.pop("validation")
        held_out = str(folders["test"])
        notes += (f"{held_out!r} is the test split, as there is no test/ beside it",)
    splits = {
        name: list_images(folder, classes, center)
        for name, folder in {**folders, "train": train}.items()
    }
    return RawDataset(tuple(classes), **splits, notes=notes)


def _note_unread(root: Path, splits: Mapping[str, Path]) -> tuple[str, ...]:
    """Return a note on the folders beside train/ that are no splits, if there are any."""
    named = {folder.name for folder in splits.values()}
    others = [name for name in class_folders(root) if name not in named]
    if not splits or not others:
        return ()
    folders = quote_names(others)
    return (f"not read, as splits are called train, val and test: {folders} in {str(root)!r}",)


def list_images(folder: Path, classes: list[str], center: float) -> OnDisk:
    """Return the image files below each class folder, in the order of their names.

    Args:
        folder: the folder of the class folders.
        classes: class names in the order of the labels.
        center: share of a resized image that the center crop keeps.

    Raises:
        UserError: a class folder is empty, or has the name of no class.
    """
    unknown = sorted(set(class_folders(folder)) - set(classes))
    if unknown:
        raise UserError(
            f"the folder {str(folder)!r} has the class {unknown[0]!r}, which train/ does not have.",
            "  the class folders of train/, val/ and test/ must have the same names",
        )
    paths_by_label = {
        label: sorted(images_below(folder / name))
        for label, name in enumerate(classes)
        if (folder / name).is_dir()
    }
    _require_images(
        [folder / classes[label] for label, paths in paths_by_label.items() if not paths]
    )
    files = [
        (os.fsencode(path.relative_to(folder)), path.stat().st_size, label)
        for label, paths in paths_by_label.items()
        for path in paths
    ]
    if not files:
        raise UserError(
            f"the folder {str(folder)!r} has no class folders.",
            "  put one in for each class, or delete it",
        )
    names, sizes, labels = zip(*files, strict=True)
    return OnDisk(folder, np.array(names), np.array(sizes), torch.tensor(labels), center)


def _require_images(empty_folders: list[Path]) -> None:
    """Raise an error that names the class folders without images, if there are any."""
    if not empty_folders:
        return
    names = ", ".join(repr(str(folder)) for folder in empty_folders[:_MAX_NAMED])
    more = f" and {len(empty_folders) - _MAX_NAMED} more" if empty_folders[_MAX_NAMED:] else ""
    single = len(empty_folders) == 1
    raise UserError(
        f"the class folder {names} has no images."
        if single
        else f"{len(empty_folders)} class folders have no images: {names}{more}.",
        f"  put some in ({', '.join(IMG_EXTENSIONS)}) or delete {'it' if single else 'them'}",
    )


def list_all_images(where: str, folder: Path) -> OnDisk:
    """Return all image files below a folder, in the order of their names, all with the label 0.

    Args:
        where: the config key of the folder, for the messages.
        folder: a folder with images in itself or in the folders below it.

    Raises:
        UserError: the folder does not exist, or has no images.
    """
    paths = sorted(images_below(folder))
    if not paths:
        problem = "has no images" if folder.is_dir() else "does not exist"
        raise UserError(
            f"the folder {str(folder)!r} of {where} {problem}.",
            f"  name a folder with files like {', '.join(IMG_EXTENSIONS[:4])}",
        )
    names = np.array([os.fsencode(path.relative_to(folder)) for path in paths])
    sizes = np.array([path.stat().st_size for path in paths])
    return OnDisk(folder, names, sizes, torch.zeros(len(paths), dtype=torch.int64), center=1.0)


def images_below(folder: Path) -> Iterator[Path]:
    """Yield the image files in a folder and in the folders below it."""
    for path, _, files in os.walk(folder, followlinks=True):
        for file in files:
            if file.lower().endswith(IMG_EXTENSIONS) and is_visible(file):
                yield Path(path, file)


def _missing_dataset_error(root: Path) -> UserError:
    return UserError(
        f"dataset 'imagefolder' is not in {str(root)!r}.",
        f"  expected: {root}/train/CLASS/*.jpg, with {root}/test/ or {root}/val/ beside train/,",
        f"  or {root}/CLASS/*.jpg; name the folder with dataset.root=FOLDER",
    )
