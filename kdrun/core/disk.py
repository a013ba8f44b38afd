"""Folders that are to be written: whether they can be, and what is there of them."""

import os
from pathlib import Path

from kdrun.core.errors import Fault


def check_writable(where: str, folder: str) -> list[Fault]:
    """Whether a folder can be made and written."""
    existing = nearest_existing_folder(Path(folder))
    if not existing.is_dir():
        return [Fault(where, f"{folder!r} can't be made: {str(existing)!r} is a file")]
    if os.access(existing, os.W_OK | os.X_OK):
        return []
    return [Fault(where, f"{str(existing)!r} can't be written; choose another: {where}=FOLDER")]


def nearest_existing_folder(path: Path) -> Path:
    """The path itself, or the nearest of those above that is there."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
