"""Checks the class folders of a dataset of image files."""

import os
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

from kdrun.core.errors import UserError
from kdrun.dataset.folder_layout import class_folders, is_visible, quote_names


def check_class_folders(folder: Path, classes: list[str]) -> None:
    """Check that class folders are not splits of other names, which have class folders themselves.

    Raises:
        UserError: no class folder has images, and all have two or more folders of the same names.
    """
    shared: set[str] = set()
    for position, name in enumerate(classes):
        if _has_images(folder / name):
            return
        inner = set(class_folders(folder / name))
        shared = shared & inner if position else inner
    if len(classes) < 2 or len(shared) < 2:
        return
    raise UserError(
        f"the class folders {quote_names(classes, ' and ')} of {str(folder)!r} hold no images, only"
        f" folders with the same names: {quote_names(sorted(shared))}.",
        "  if they are splits, call them train, val and test; if they are classes, move the images"
        " of each into its own folder",
    )


def _has_images(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_file()]
    return any(name.lower().endswith(IMG_EXTENSIONS) and is_visible(name) for name in names)
