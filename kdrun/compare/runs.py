"""Existing runs: finding the one that a command names, and describing each in a line."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kdrun.core.errors import DamagedFile, UserError, shell_command
from kdrun.core.folder import RunFolder, find_runs
from kdrun.core.metrics import leading
from kdrun.core.records.summary import Row, score_of
from kdrun.core.store import FORMAT
from kdrun.core.sweep import NOT_STARTED, SweepFolder, find_sweeps
from kdrun.core.unknown import suggest

_NEEDED = ("format", "name", "status", "started", "command", "hardware", "seed")


def run_lines(root: Path) -> list[str]:
    """Return a line for each run below a folder, and for each job of a sweep there."""
    runs = {folder.path: folder for folder in find_runs(root) if ".store" not in folder.path.parts}
    for sweep in find_sweeps(root):
        with suppress(DamagedFile):  # its runs are there all the same
            runs |= {(folder := sweep.run(job)).path: folder for job in sweep.jobs()}
    rows = [(str(path), *_status_and_scores(runs[path])) for path in sorted(runs)]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return [
        f"{path:{widths[0]}}  {status:{widths[1]}}  {told}".rstrip() for path, status, told in rows
    ]


def sweep_line(sweep: SweepFolder) -> str:
    """Return a line that counts a sweep's jobs by status."""
    counts = Counter(map(sweep.status, sweep.jobs()))
    finished = counts.pop("finished", 0)
    others = "".join(f", {count} {status}" for status, count in sorted(counts.items()))
    return f"sweep in {sweep.path}: {finished} of {sweep.size} jobs finished{others}"


def _status_and_scores(folder: RunFolder) -> tuple[str, str]:
    """Return a run's status, and its scores or its error."""
    if not folder.is_run:
        return NOT_STARTED, ""
    try:
        manifest = folder.manifest()
        return folder.status, _figures(folder) or str(manifest.get("error") or "").split("\n")[0]
    except DamagedFile as error:
        return "damaged", error.lines[0]


def named_run(words: Sequence[str], verb: str) -> RunFolder:
    """Return the run folder that the words after a verb name.

    Raises:
        UserError: none or several are named, there is no run in it, or a newer kdrun's.
        DamagedFile: it lacks what every run writes of itself.
    """
    if len(words) != 1:
        raise UserError(
            f"{verb} takes one run folder: kdrun {verb} RUN.", "  the runs: kdrun list runs"
        )
    folder = RunFolder(Path(words[0]))
    if not folder.path.exists():
        raise UserError(f"there is no {words[0]!r}.", "  the runs that are there: kdrun list runs")
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
    """Return a row of a run's table and its fingerprint.

    Raises:
        UserError: the run has no table yet, or not this row.
    """
    summary = folder.summary()
    if summary is None:
        raise UserError(
            f"{str(folder.path)!r} is not finished, and has no models to take yet.",
            f"  go on with it: {shell_command('resume', folder.path)}",
        )
    rows = {row["model"]: row["fingerprint"] for row in summary["rows"]}
    if asked not in rows:
        raise UserError(f"{str(folder.path)!r} has no row {asked!r}.", f"  {suggest(asked, rows)}")
    return asked, rows[asked]


def back_to_start(folder: RunFolder) -> RunFolder:
    """Change to the folder that the run was started in; see `started_in`."""
    return RunFolder(started_in(folder.manifest(), folder.path))


def started_in(record: Mapping[str, Any], path: Path) -> Path:
    """Go to where a run or sweep was started from: its paths, and the store, count from there.

    One that was moved since is gone on with from here.

    Args:
        record: what it wrote of itself.
        path: its folder, as it is called here.

    Returns:
        The folder, as it is called there.
    """
    start, whole = Path(record.get("working_folder", ".")), path.resolve()
    if Path(record.get("path", "")) != whole or not start.is_dir() or start.samefile("."):
        return path
    os.chdir(start)
    return whole


def _figures(folder: RunFolder) -> str:
    """Return the leading score of each model on the test split, and the gain of distillation."""
    summary = folder.summary()
    rows = summary["rows"] if summary else []
    scores = [(row, score_of(row, leading().name)) for row in rows]
    return ", ".join(
        f"{row['model']} {100 * score:.2f} %{_gain(row)}"
        for row, score in scores
        if score is not None
    )


def _gain(row: Row) -> str:
    """Return the gain over the student alone, in percentage points; empty for other rows."""
    told = row["model"] == "distilled" and "gain" in row
    return f" ({100 * row['gain']['accuracy']:+.2f})" if told else ""
