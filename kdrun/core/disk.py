"""Checks whether folders can be written, and makes them."""

import errno
import os
from pathlib import Path

from kdrun.core.errors import DiskFull, Fault, KdrunError, UserError

# Faults of the path itself; all others, such as no permission, are of the storage.
_OF_THE_PATH = (errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)


def check_writable(where: str, folder: str) -> list[Fault]:
    """Return a list with a fault if a folder cannot be made or written; else an empty list.

    Args:
        where: the config key that names the folder.
        folder: its path; it need not exist.
    """
    try:
        existing = nearest_existing_folder(Path(folder))
        for name in Path(folder).absolute().relative_to(existing).parts:
            (existing / name).exists()  # raises for a name that is too long
    except OSError as error:
        return [Fault(where, f"{folder!r} can't be made: {error.strerror}")]
    if not existing.is_dir():
        return [Fault(where, f"{folder!r} can't be made: {str(existing)!r} is a file")]
    if os.access(existing, os.W_OK | os.X_OK):
        return []
    what = f"{str(existing)!r} can't be written; choose another: {where}=FOLDER"
    return [Fault(where, what, DiskFull.status)]


def folder_error(error: OSError, *lines: str) -> KdrunError:
    """Return the error with these lines for a folder that can't be made.

    It is a mistake of the user if the path can't be a folder's, otherwise of the storage.
    """
    return (UserError if error.errno in _OF_THE_PATH else DiskFull)(*lines)


def nearest_existing_folder(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
