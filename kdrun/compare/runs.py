"""Runs in a line each: where, how it ended, and what came out."""

from collections.abc import Iterator
from pathlib import Path

from kdrun.core.errors import DamagedFile
from kdrun.core.folder import RunFolder, find_runs


def run_lines(root: Path) -> Iterator[str]:
    """A line for each run below a folder but the store's; a damaged one says so."""
    for folder in find_runs(root):
        if ".store" in folder.path.parts:
            continue
        try:
            told = f"{folder.status}  {_figures(folder) or folder.manifest().get('error') or ''}"
        except DamagedFile as error:
            told = error.lines[0]
        yield f"{folder.path}  {told}".rstrip()


def _figures(folder: RunFolder) -> str:
    summary = folder.summary()
    rows = summary["rows"] if summary else []
    return ", ".join(f"{row['model']} {100 * row['accuracy']:.2f} %" for row in rows)
