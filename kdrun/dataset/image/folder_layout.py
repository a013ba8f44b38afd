"""Which folders of an image dataset hold which split, and which class."""

import os
from pathlib import Path

from torchvision.datasets.folder import IMG_EXTENSIONS

from kdrun.core.errors import UserError

# The usual names of each split's folder, in lower case; the case of a folder's name doesn't matter.
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_MAX_NAMED = 5  # folders that a message names


def split_folders(root: Path) -> dict[str, Path]:
    """Return the folder of each split that a folder has, by the split's name.

    Raises:
        UserError: two folders have names of the same split.
    """
    folders: dict[str, Path] = {}
    for split, names in _SPLIT_NAMES.items():
        found = [name for name in class_folders(root) if name.lower() in names]
        if len(found) > 1:
            raise UserError(
                f"the folder {str(root)!r} has {quote_names(found, ' and ')}, which both name the"
                f" {split} split.",
                "  rename one or take it out",
            )
        if found:
            folders[split] = root / found[0]
    return folders


def class_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and is_visible(entry.name))


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


def quote_names(names: list[str], last: str = ", ") -> str:
    """Return the first names in quotes, with `last` between two that are all."""
    quoted = [repr(name) for name in names]
    if len(quoted) == 2:
        return last.join(quoted)
    return ", ".join(quoted[:_MAX_NAMED]) + (", ..." if quoted[_MAX_NAMED:] else "")


def is_visible(name: str) -> bool:
    """Return whether a file or folder is the user's, and none that a system left there."""
    return not name.startswith(".") and name != "__MACOSX"


def _has_images(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_file()]
    return any(name.lower().endswith(IMG_EXTENSIONS) and is_visible(name) for name in names)
