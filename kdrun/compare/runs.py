"""Runs that are there: the one that a command names, and each in a line."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from kdrun.core.errors import DamagedFile, UserError, nearest
from kdrun.core.folder import FORMAT, RunFolder, find_runs

_NEEDED = ("format", "name", "status", "started", "command", "hardware", "seed")


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


def named_run(words: Sequence[str], verb: str) -> RunFolder:
    """The one run folder that the words after a verb name.

    Raises:
        UserError: none or several are named, there is no run in it, or a newer kdrun's.
        DamagedFile: it lacks what every run writes of itself.
    """
    if len(words) != 1:
        raise UserError(
            f"{verb} takes one run folder: kdrun {verb} RUN.", "  the runs: kdrun list runs"
        )
    folder = RunFolder(Path(words[0]))
    if not folder.is_run:
        raise UserError(
            f"{words[0]!r} is no run folder: it has no run.json.",
            "  the runs that are there: kdrun list runs",
        )
    manifest = folder.manifest()
    missing = [key for key in _NEEDED if key not in manifest]
    if missing:
        raise DamagedFile(f"{words[0]!r} is no whole run: its run.json has no {missing[0]!r}.")
    if manifest["format"] > FORMAT:
        raise UserError(
            f"{words[0]!r} has format {manifest['format']}; this kdrun reads up to {FORMAT}.",
            "  a newer kdrun wrote it: pip install --upgrade kdrun",
        )
    return folder


def named_row(folder: RunFolder, asked: str) -> tuple[str, str]:
    """A row of a run's table and its fingerprint.

    Raises:
        UserError: the run has no table yet, or not this row.
    """
    summary = folder.summary()
    if summary is None:
        raise UserError(
            f"{str(folder.path)!r} is not finished, and has no models to take yet.",
            f"  go on with it: kdrun resume {folder.path}",
        )
    rows = {row["model"]: row["fingerprint"] for row in summary["rows"]}
    if asked not in rows:
        close = nearest(asked, rows)
        raise UserError(
            f"{str(folder.path)!r} has no row {asked!r}.",
            f"  nearest: {close}" if close else f"  its rows: {', '.join(rows)}",
        )
    return asked, rows[asked]


def back_to_start(folder: RunFolder) -> RunFolder:
    """Go to where the run was started from: its config's paths, and the store, count from there.

    A run that was moved since is gone on with from here.
    """
    manifest, path = folder.manifest(), folder.path.resolve()
    start = Path(manifest.get("working_folder", "."))
    if Path(manifest.get("path", "")) != path or not start.is_dir() or start.samefile("."):
        return folder
    os.chdir(start)
    return RunFolder(path)


def _figures(folder: RunFolder) -> str:
    summary = folder.summary()
    rows = summary["rows"] if summary else []
    return ", ".join(f"{row['model']} {100 * row['accuracy']:.2f} %" for row in rows)
