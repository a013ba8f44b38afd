"""Where the files of a dataset are."""

from pathlib import Path


def locate(root: Path, within: Path) -> Path:
    """Return a path, or the same path below the folder of all data if it is only there."""
    elsewhere = within / root
    return elsewhere if not root.exists() and elsewhere.exists() else root
