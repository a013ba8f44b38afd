"""Which folders of a dataset hold which split, and which class."""

import os
from pathlib import Path

from kdrun.core.errors import UserError

# The usual names of each split's folder or file, in lower case; their case doesn't matter.
SPLIT_NAMES = {
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
    for split, names in SPLIT_NAMES.items():
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


def quote_names(names: list[str], last: str = ", ") -> str:
    """Return the first names in quotes, with `last` between two that are all."""
    quoted = [repr(name) for name in names]
    if len(quoted) == 2:
        return last.join(quoted)
    return ", ".join(quoted[:_MAX_NAMED]) + (", ..." if quoted[_MAX_NAMED:] else "")


def is_visible(name: str) -> bool:
    """Return whether a file or folder is the user's, and none that a system left there."""
    return not name.startswith(".") and name != "__MACOSX"
