"""Files that the user names for a command to write, outside of what it makes for itself."""

import os
from pathlib import Path

from kdrun.core.errors import UserError


def prepare_file(path: Path) -> Path:
    """The path itself, its folder made, once writing there would harm nothing but a plain file.

    Files are replaced as a whole, so a device, a pipe or a link would be gone.

    Raises:
        UserError: something else is there, or the folder can't be made or written.
    """
    prepare_folder(path.parent)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UserError(
            f"{str(path)!r} is no plain file, and would be replaced.", "  name another file"
        )
    return path


def prepare_folder(folder: Path) -> None:
    """Make a folder that the user names for files, if it isn't there.

    Raises:
        UserError: it can't be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"folder {str(folder)!r} can't be made: {error.strerror}.", "  name another one"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"folder {str(folder)!r} can't be written.", "  name another one")
