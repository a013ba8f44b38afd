"""The rights of folders: new ones are the user's alone, and others' are resumed only if told so."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kdrun.core.errors import UserError, shell_command

PRIVATE = 0o700  # the mode of a new folder of a run or a sweep, and of a new store
TRUST = "--trust"  # the word by which a command goes on with what others could have changed
_ROOT = 0  # can change everything anyway, and owns what containers wrote


def make_store_folder(path: Path) -> None:
    """Make a folder of a store, if it is missing: of the mode that the store has.

    A new store is the user's alone. To share it, change its mode: `chmod g+rwx outputs/.store`.
    """
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(PRIVATE, exist_ok=True)
    path.mkdir(stat.S_IMODE(path.parent.stat().st_mode), exist_ok=True)


def refuse_shared(folder: Path) -> None:
    """Refuse to go on with a run or a sweep that other users could have changed.

    Raises:
        UserError: a file or folder in it belongs to another user, or all users can write it.
    """
    for path in _inside(folder):
        status = path.lstat()
        reason = ""
        if status.st_uid not in (os.geteuid(), _ROOT):
            reason = "belongs to another user"
        elif status.st_mode & stat.S_IWOTH and not stat.S_ISLNK(status.st_mode):
            reason = "can be written by all users"
        if reason:
            raise UserError(
                f"{str(path)!r} {reason}, and may not be what the run wrote.",
                f"  if you trust what is there: {shell_command('resume', folder)} {TRUST}",
            )


def _inside(folder: Path) -> Iterator[Path]:
    """Yield a folder and all that is in it; links are not followed."""
    yield folder
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(path, name)
