"""Checks whether folders can be written, before they are made."""

import os
from pathlib import Path

from kdrun.core.errors import DiskFull, Fault


def check_writable(where: str, folder: str) -> list[Fault]:
    """Return a list with a fault if a folder cannot be made or written; else an empty list.

    Args:
        where: the config key that names the folder.
        folder: its path; it need not exist.
    """
    existing = nearest_existing_folder(Path(folder))
    if not existing.is_dir():
        return [Fault(where, f"{folder!r} can't be made: {str(existing)!r} is a file")]
    if os.access(existing, os.W_OK | os.X_OK):
        return []
    what = f"{str(existing)!r} can't be written; choose another: {where}=FOLDER"
    return [Fault(where, what, DiskFull.status)]


def nearest_existing_folder(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
