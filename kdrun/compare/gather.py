"""Finding and reading the runs that paths and globs name; which are left out, and why."""

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kdrun.compare.keys import add_given_teacher, flatten_config, value_text
from kdrun.core.errors import DamagedFile, KdrunError, UserError
from kdrun.core.folder import RunFolder, find_runs
from kdrun.core.metrics import leading
from kdrun.core.records.manifest import Manifest
from kdrun.core.records.summary import Row, Summary, score_of
from kdrun.core.store import FORMAT
from kdrun.core.sweep import NOT_STARTED, SweepFolder
from kdrun.core.unknown import nearest


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where it is.
        name: of the run.
        seed: everything random follows from it.
        config: dotted key -> value for all keys that results may depend on, except the seed;
            with the fingerprint of a teacher that a path names.
        summary: as in summary.json.
        rows: name of a row -> row of the summary.
        stages: name -> fingerprint; None for a stage without an artefact.
        format: of the manifest.
        environment: versions and device.
        started: date and time, ISO 8601.
        command: as it is typed.
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
    def marks(self) -> dict[str, str]:
        """The config with its values as texts; equal values have the same text."""
        return {key: value_text(value) for key, value in self.config.items()}


@dataclass(frozen=True)
class LeftOut:
    """A run that can't be compared.

    Attributes:
        path: its folder.
        kind: a status that is not `finished` (running, failed, interrupted, crashed, pruned),
            or damaged, newer, missing, repeated, not started.
        reason: why, as the end of a sentence.
    """

    path: Path
    kind: str
    reason: str


@dataclass(frozen=True)
class Gathered:
    """The runs that paths and globs name, each once."""

    runs: Sequence[Run]
    left_out: Sequence[LeftOut]


def gather(words: Sequence[str]) -> Gathered:
    """Read all runs that paths and globs name, in the order of the words.

    Raises:
        UserError: a word names nothing, or no run is below it.
    """
    runs: list[Run] = []
    left_out: list[LeftOut] = []
    folders = list(_once(folder for word in words for folder in _named(word)))
    for folder in folders:
        try:
            found = _read(folder)
        except DamagedFile as error:
            found = LeftOut(folder.path, "damaged", error.lines[0].rstrip("."))
        (left_out if isinstance(found, LeftOut) else runs).append(found)  # type: ignore[arg-type]
    around = dict.fromkeys(one.path.parent for one in folders if str(one.path) not in words)
    return Gathered(runs, [*left_out, *(job for path in around for job in _not_started(path))])


def _not_started(path: Path) -> Iterable[LeftOut]:
    """Return the jobs of a sweep folder that have not started."""
    sweep = SweepFolder(path)
    try:
        jobs = sweep.jobs() if sweep.is_sweep else []
    except KdrunError as error:
        return [LeftOut(path, "damaged", error.lines[0].rstrip("."))]
    left = (sweep.run(job).path for job in jobs if sweep.status(job) == NOT_STARTED)
    return [LeftOut(one, NOT_STARTED, NOT_STARTED) for one in left]


def _named(word: str) -> Iterable[RunFolder]:
    path = Path(word)
    # glob, as Path's own takes no absolute patterns; a path may hold [ and ] itself.
    paths = [path] if path.exists() else [Path(one) for one in sorted(glob.glob(word))]  # noqa: PTH207
    if not paths:
        raise UserError(f"there is no {word!r}.", _hint(path))
    found = [folder for one in paths for folder in find_runs(one)]
    if not found and path.is_file():
        raise UserError(f"{word!r} is a file.", f"  name its run's folder: {path.parent}")
    if not found:
        raise UserError(
            f"no run is in {word!r}, nor below it.", "  the runs that are there: kdrun list runs"
        )
    return found


def _hint(path: Path) -> str:
    """Return a hint that names the nearest paths in the same folder."""
    around = path.parent
    names = [one.name for one in around.iterdir()] if around.is_dir() else []
    close = [str(around / name) for name in nearest(path.name, names).split(", ") if name]
    return f"  nearest: {', '.join(close)}" if close else "  the runs: kdrun list runs"


def _once(folders: Iterable[RunFolder]) -> Iterable[RunFolder]:
    found: dict[str, RunFolder] = {}
    for folder in folders:
        found.setdefault(os.path.realpath(folder.path), folder)
    return found.values()


def _read(folder: RunFolder) -> Run | LeftOut:
    """Read a run, or return why it is left out.

    Raises:
        DamagedFile: one of its files is not what a run writes.
    """
    manifest = folder.manifest()
    if "format" not in manifest:
        raise DamagedFile("its run.json has no 'format'")
    known = manifest["format"]
    if known > FORMAT:
        told = f"a newer kdrun wrote it: format {known}, this one reads up to {FORMAT}"
        return LeftOut(folder.path, "newer", told)
    if manifest.get("status") != "finished":
        status, error = folder.status, manifest.get("error")
        return LeftOut(folder.path, status, f"{status}: {error}" if error else status)
    summary = folder.summary()
    if summary is None:
        return LeftOut(folder.path, "missing", "finished, and its summary.json is not there")
    return _run(folder, manifest, summary)


def _run(folder: RunFolder, manifest: Manifest, summary: Summary) -> Run:
    try:
        rows = {row["model"]: row for row in summary["rows"]}
        stages = {name: stage["fingerprint"] for name, stage in manifest.get("stages", {}).items()}
        config, seed = manifest.get("config") or folder.config(), manifest["seed"]
        if not rows or any(score_of(row, leading().name) is None for row in rows.values()):
            raise DamagedFile("its summary.json has no figures")
        return Run(
            folder=folder,
            name=manifest.get("name") or folder.path.name,
            seed=seed,
            config=add_given_teacher(flatten_config(config), stages.get("teacher")),
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
