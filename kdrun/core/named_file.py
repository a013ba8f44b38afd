"""Prepares files and folders that the user names as the output of a command."""

import os
from pathlib import Path

from kdrun.core.disk import folder_error
from kdrun.core.errors import DiskFull, UserError


def prepare_file(path: Path) -> Path:
    """Make the folder of a file that a command will write, and return the path of the file.

    Writing replaces the file; a device, a pipe or a link would be lost, so these are refused.

    Raises:
        UserError: the path is a device, a pipe, a link or a folder, or can't be a file's.
        DiskFull: its folder can't be made or written.
    """
    prepare_folder(path.parent)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(
            f"{str(path)!r} is not a regular file, and would be replaced.", "  name another file"
        )
    return path


def prepare_folder(folder: Path) -> None:
    """Make a folder that the user names for files, if it does not exist.

    Raises:
        UserError: the path can't be a folder's.
        DiskFull: the folder can't be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sentence = f"folder {str(folder)!r} can't be made: {error.strerror}."
        raise folder_error(error, sentence, "  name another one") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise DiskFull(f"folder {str(folder)!r} can't be written.", "  name another one")
