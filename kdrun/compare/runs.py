"""Existing runs: finding the run that a command names, and describing each run in a line."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kdrun.core.control_characters import one_line
from kdrun.core.errors import DamagedFile, UserError, shell_command
from kdrun.core.folder import STUDENT_ROW, RunFolder, find_runs
from kdrun.core.metrics import Metric
from kdrun.core.records.check import is_newer, refuse_newer
from kdrun.core.records.summary import Row, Summary, difference_of, score_of
from kdrun.core.store import STORE
from kdrun.core.sweep import NOT_STARTED, SweepFolder, find_sweeps
from kdrun.core.unknown import suggest
from kdrun.task import task_of

_REQUIRED_KEYS = ("format", "name", "status", "started", "command", "hardware", "seed")


def run_lines(root: Path) -> list[str]:
    """Return a line for each run below a folder, and for each job of a sweep there."""
    runs = {folder.path: folder for folder in find_runs(root) if STORE not in folder.path.parts}
    for sweep in find_sweeps(root):
        # The runs of a damaged sweep, or of a newer kdrun's, are listed all the same.
        with suppress(DamagedFile, UserError):
            runs |= {(folder := sweep.run(job)).path: folder for job in sweep.jobs()}
    rows = [
        tuple(map(one_line, (str(path), *_status_and_scores(runs[path])))) for path in sorted(runs)
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    return [
        f"{path:{widths[0]}}  {status:{widths[1]}}  {scores}".rstrip()
        for path, status, scores in rows
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
        if is_newer(manifest):
            return "newer", ""
        error = str(manifest.get("error") or "").split("\n")[0]
        return folder.status, _scores_text(folder.checked_summary(manifest)) or error
    except DamagedFile as error:
        return "damaged", error.lines[0]


def named_run(arguments: Sequence[str], verb: str) -> RunFolder:
    """Return the run folder that a command names.

    Args:
        arguments: the arguments of the command; there must be one, the folder's path.
        verb: the command, such as resume.

    Raises:
        UserError: no folder or several folders are named, the folder contains no run, or a newer
            kdrun wrote it.
        DamagedFile: the run's manifest lacks a key that every run writes, or a file with its
            results was changed.
    """
    if len(arguments) != 1:
        raise UserError(
            f"{verb} takes one run folder: kdrun {verb} RUN.", "  the runs: kdrun list runs"
        )
    folder = RunFolder(Path(arguments[0]))
    if not folder.path.exists():
        raise UserError(
            f"there is no {arguments[0]!r}.", "  the runs that are there: kdrun list runs"
        )
    if not folder.is_run:
        raise UserError(
            f"{arguments[0]!r} is no run folder: it has no run.json.",
            "  the runs that are there: kdrun list runs",
        )
    manifest = folder.manifest()
    refuse_newer(manifest, repr(arguments[0]))
    missing = [key for key in _REQUIRED_KEYS if key not in manifest]
    if missing:
        raise DamagedFile(
            f"{arguments[0]!r} is not a complete run: its run.json has no {missing[0]!r}."
        )
    folder.check_files(manifest)
    return folder


def named_row(folder: RunFolder, name: str) -> tuple[str, str]:
    """Return the name of a row of a run's table, and the fingerprint of the row's artefact.

    Raises:
        UserError: the run has no table yet, or the table has no such row.
    """
    summary = folder.summary()
    if summary is None:
        raise UserError(
            f"{str(folder.path)!r} is not finished, and has no models to take yet.",
            f"  go on with it: {shell_command('resume', folder.path)}",
        )
    rows = {row["model"]: row["fingerprint"] for row in summary["rows"]}
    if name not in rows:
        raise UserError(f"{str(folder.path)!r} has no row {name!r}.", f"  {suggest(name, rows)}")
    return name, rows[name]


def back_to_start(folder: RunFolder) -> RunFolder:
    """Change to the folder in which the run was started; see `started_in`."""
    return RunFolder(started_in(folder.manifest(), folder.path))


def started_in(record: Mapping[str, Any], path: Path) -> Path:
    """Change to the folder in which a run or sweep was started, as its paths are relative to it.

    If the run or sweep was moved since, the working folder stays as it is.

    Args:
        record: the run's manifest, or the sweep's index.
        path: the folder of the run or sweep.

    Returns:
        A path of the same folder that is valid in the new working folder.
    """
    start, absolute = Path(record.get("working_folder", ".")), path.resolve()
    if Path(record.get("path", "")) != absolute or not start.is_dir() or start.samefile("."):
        return path
    os.chdir(start)
    return absolute


def _scores_text(summary: Summary | None) -> str:
    """Return the leading score of each model on the test split, and the gain of distillation."""
    if summary is None:
        return ""
    metric = task_of(summary).leading()
    scores = [(row, score_of(row, metric.name)) for row in summary["rows"]]
    return ", ".join(
        f"{row['model']} {metric.unit.text(score)}{metric.unit.sign}{_gain(row, metric)}"
        for row, score in scores
        if score is not None
    )


def _gain(row: Row, metric: Metric) -> str:
    """Return the gain over the student alone, in the unit of tables; empty for other rows."""
    has_gain = row["model"] == STUDENT_ROW and "gain" in row
    return f" ({metric.change_text(difference_of(row['gain']))})" if has_gain else ""
