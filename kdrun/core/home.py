"""Paths that begin with `~`, the home folder of a user."""

from pathlib import Path


def in_home(path: Path | str) -> Path:
    """Return a path with `~` or `~NAME` expanded, and as it is if there is no such user.

    `Path.expanduser` raises RuntimeError then, which is no message for a user; the path as it is
    is reported as missing.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
