"""Finding and reading the runs that paths and glob patterns name."""

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kdrun.compare.keys import add_given_teacher, add_revisions, flatten_config, value_text
from kdrun.core.errors import DamagedFile, KdrunError, UserError
from kdrun.core.folder import RunFolder, find_runs
from kdrun.core.records import FORMAT
from kdrun.core.records.check import is_newer
from kdrun.core.records.manifest import Manifest
from kdrun.core.records.summary import Row, Summary, score_of
from kdrun.core.sweep import NOT_STARTED, SweepFolder
from kdrun.core.unknown import nearest
from kdrun.task import task_of


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: the run's folder.
        name: the run's name.
        seed: the seed of everything random.
        config: dotted key -> value for all keys that results may depend on, except the seed. If
            the config names the teacher by a path, the teacher's fingerprint is added; so are
            revisions of losses that have been corrected.
        summary: the contents of summary.json.
        rows: name of a row -> row of the summary.
        stages: name of a stage -> fingerprint of its artefact; None if the stage has none.
        format: the format number in the manifest.
        environment: versions and device.
        started: date and time of the start, ISO 8601.
        command: the command line that started the run.
        sweep: the folder of the sweep that the run is a job of; None if it is no job.
    """

    folder: RunFolder
    name: str
    seed: int
    config: Mapping[str, Any]
    summary: Summary
    rows: Mapping[str, Row]
    stages: Mapping[str, str | None]
    format: int
    environment: Mapping[str, Any]
    started: str
    command: str
    sweep: Path | None

    @property
    def path(self) -> Path:
        return self.folder.path

    @cached_property
    def config_texts(self) -> dict[str, str]:
        """The config with its values as texts; equal values have the same text."""
        return {key: value_text(value) for key, value in self.config.items()}


@dataclass(frozen=True)
class LeftOut:
    """A run that can't be compared.

    Attributes:
        path: the run's folder.
        kind: a status that is not `finished` (running, failed, interrupted, crashed, pruned),
            or damaged, newer, missing, repeated, not started.
        reason: why it is left out, as the end of a sentence.
    """

    path: Path
    kind: str
    reason: str


@dataclass(frozen=True)
class Gathered:
    """The runs that paths and glob patterns name, each once.

    Attributes:
        runs: the finished runs.
        left_out: the other runs, and why they are left out.
    """

    runs: Sequence[Run]
    left_out: Sequence[LeftOut]


def gather(patterns: Sequence[str], thorough: bool = False) -> Gathered:
    """Read all runs that patterns name, in the order of the patterns.

    Args:
        patterns: paths or glob patterns of run folders, or of folders above them.
        thorough: check the sums of all files of a run, not only of its summary.

    Raises:
        UserError: a pattern matches nothing, or there is no run below its matches.
    """
    runs: list[Run] = []
    left_out: list[LeftOut] = []
    folders = list(_distinct(folder for pattern in patterns for folder in _find(pattern)))
    for folder in folders:
        try:
            run = _read(folder)
            if thorough and isinstance(run, Run):
                folder.check_files(folder.manifest())
        except DamagedFile as error:
            run = LeftOut(folder.path, "damaged", error.lines[0].rstrip("."))
        (left_out if isinstance(run, LeftOut) else runs).append(run)  # type: ignore[arg-type]
    parents = dict.fromkeys(
        folder.path.parent for folder in folders if str(folder.path) not in patterns
    )
    return Gathered(runs, [*left_out, *(job for path in parents for job in _not_started(path))])


def _not_started(path: Path) -> Iterable[LeftOut]:
    """Return the jobs of a sweep folder that have not started."""
    sweep = SweepFolder(path)
    try:
        jobs = sweep.jobs() if sweep.is_sweep else []
    except KdrunError as error:
        return [LeftOut(path, "damaged", error.lines[0].rstrip("."))]
    paths = (sweep.run(job).path for job in jobs if sweep.status(job) == NOT_STARTED)
    return [LeftOut(path, NOT_STARTED, NOT_STARTED) for path in paths]


def _find(pattern: str) -> list[RunFolder]:
    """Return the runs that a pattern matches, and those below the folders that it matches.

    Raises:
        UserError: there are none.
    """
    path = Path(pattern)
    # The name of an existing folder may contain [ and ], so it isn't expanded as a pattern.
    # glob.glob takes absolute patterns, unlike Path.glob.
    paths = [path] if path.exists() else list(map(Path, sorted(glob.glob(pattern))))  # noqa: PTH207
    if not paths:
        raise UserError(f"there is no {pattern!r}.", _hint(path))
    folders = [folder for match in paths for folder in find_runs(match)]
    if not folders and path.is_file():
        raise UserError(f"{pattern!r} is a file.", f"  name its run's folder: {path.parent}")
    if not folders:
        raise UserError(
            f"no run is in {pattern!r}, nor below it.", "  the runs that are there: kdrun list runs"
        )
    return folders


def _hint(path: Path) -> str:
    """Return a hint that names the nearest paths in the same folder."""
    parent = path.parent
    names = [sibling.name for sibling in parent.iterdir()] if parent.is_dir() else []
    similar = [str(parent / name) for name in nearest(path.name, names)]
    return f"  nearest: {', '.join(similar)}" if similar else "  the runs: kdrun list runs"


def _distinct(folders: Iterable[RunFolder]) -> Iterable[RunFolder]:
    """Return each folder once, though several paths may lead to it."""
    by_path: dict[str, RunFolder] = {}
    for folder in folders:
        by_path.setdefault(os.path.realpath(folder.path), folder)
    return by_path.values()


def _read(folder: RunFolder) -> Run | LeftOut:
    """Read a run, or return why it is left out.

    Raises:
        DamagedFile: a file of the run is damaged, or lacks what every run writes.
    """
    manifest = folder.manifest()
    if "format" not in manifest:
        raise DamagedFile("its run.json has no 'format'")
    if is_newer(manifest):
        number = manifest["format"]
        reason = f"a newer kdrun wrote it: format {number}, this one reads up to {FORMAT}"
        return LeftOut(folder.path, "newer", reason)
    if manifest.get("status") != "finished":
        status, error = folder.status, manifest.get("error")
        return LeftOut(folder.path, status, f"{status}: {error}" if error else status)
    summary = folder.checked_summary(manifest)
    if summary is None:
        return LeftOut(folder.path, "missing", "finished, and its summary.json is not there")
    return _run(folder, manifest, summary)


def _run(folder: RunFolder, manifest: Manifest, summary: Summary) -> Run:
    try:
        rows = {row["model"]: row for row in summary["rows"]}
        stages = {name: stage["fingerprint"] for name, stage in manifest.get("stages", {}).items()}
        tree, seed = manifest.get("config") or folder.config(), manifest["seed"]
        config = add_revisions(flatten_config(tree), manifest.get("revisions", {}))
        leading = task_of(summary).leading()
        if not rows or any(score_of(row, leading.name) is None for row in rows.values()):
            raise DamagedFile("its summary.json has no figures")
        return Run(
            folder=folder,
            name=manifest.get("name") or folder.path.name,
            seed=seed,
            config=add_given_teacher(config, stages.get("teacher")),
            summary=summary,
            rows=rows,
            stages=stages,
            format=manifest["format"],
            environment=manifest.get("environment", {}),
            started=manifest.get("started", ""),
            command=manifest.get("command", ""),
            sweep=folder.path.parent if folder.is_of_sweep else None,
        )
    except KeyError as error:
        raise DamagedFile(f"its run.json has no {error.args[0]!r}") from error
    except UserError as error:
        raise DamagedFile(error.lines[0]) from error
