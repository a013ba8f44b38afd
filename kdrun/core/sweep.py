"""The sweep folder: an index of the jobs, and a run folder for each job."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kdrun.core.errors import DamagedFile
from kdrun.core.folder import RunFolder
from kdrun.core.json_file import read_json, write_json
from kdrun.core.lock import FolderLock
from kdrun.core.records import FORMAT
from kdrun.core.records.check import check_record, refuse_newer
from kdrun.core.records.sweep import SweepIndex

NOT_STARTED = "not started"
DONE = ("finished", "pruned")  # statuses of jobs that a resumed sweep doesn't run

_INDEX = "sweep.json"
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=,+-]*")  # as `job_folder` makes it
_MAX_SETTINGS = 80  # characters that settings take at most in the name of a job's folder


@dataclass(frozen=True)
class SweepJob:
    """One run of a sweep.

    Attributes:
        number: number of the job, counted from 0.
        folder: name of its run folder below the sweep folder.
        words: the run's overrides `key=value`, as on the command line.
        differs: key -> value, for the keys whose values differ between jobs.
        bars: for a trial of a search, the validation score that it must reach after each epoch to
            go on; None for an epoch in which any score does.
    """

    number: int
    folder: str
    words: tuple[str, ...]
    differs: Mapping[str, Any]
    bars: tuple[float | None, ...] = ()


class SweepFolder:
    """The folder of a sweep: how it was started, and its jobs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def is_complete(self) -> bool:
        """Whether all jobs have ended."""
        are_done = [self.status(job) in DONE for job in self.jobs()]
        return all(are_done) and len(are_done) >= self.size

    @property
    def size(self) -> int:
        """How many jobs the sweep has in the end; a search adds them one by one."""
        index = self.index()
        return max(len(index["jobs"]), index["search"]["trials"] if "search" in index else 0)

    @property
    def is_sweep(self) -> bool:
        return (self.path / _INDEX).exists()

    def lock(self) -> FolderLock:
        """Return the lock that a process needs to run the jobs."""
        return FolderLock(self.path, "sweep")

    def index(self) -> SweepIndex:
        """Read the index: how the sweep was started, and its jobs.

        Raises:
            DamagedFile: the index can't be read, or lacks a field that every sweep writes.
            UserError: a newer kdrun wrote the index.
        """
        path = self.path / _INDEX
        index = check_record(read_json(path) or {}, SweepIndex, path)
        refuse_newer(index, f"sweep {str(self.path)!r}")
        for job in index["jobs"]:
            if not _JOB_NAME.fullmatch(job["folder"]):
                name = job["folder"]
                raise DamagedFile(
                    f"{str(path)!r} has {name!r} for the folder of a job, not a name."
                )
        return index

    def jobs(self) -> list[SweepJob]:
        """Return all jobs, started or not; raise the errors of `index`."""
        return [
            SweepJob(
                job["number"],
                job["folder"],
                tuple(job["words"]),
                job["differs"],
                tuple(job.get("bars", ())),
            )
            for job in self.index()["jobs"]
        ]

    def write(self, **fields: Any) -> None:
        """Set fields of the index; the other fields stay."""
        before = read_json(self.path / _INDEX) or {}
        if "jobs" in fields:
            fields["jobs"] = [asdict(job) for job in fields["jobs"]]
        write_json(self.path / _INDEX, {"format": FORMAT, **before, **fields})

    def run(self, job: SweepJob) -> RunFolder:
        return RunFolder(self.path / job.folder)

    def bars(self, path: Path) -> tuple[float | None, ...]:
        """Return the bars of the job with this folder."""
        return next((job.bars for job in self.jobs() if job.folder == path.name), ())

    def status(self, job: SweepJob) -> str:
        """Return the status of a job's run; `not started` if there is none yet."""
        folder = self.run(job)
        return folder.status if folder.is_run else NOT_STARTED


def find_sweeps(root: Path) -> list[SweepFolder]:
    """Return all sweep folders in and below a folder, sorted by name."""
    return [SweepFolder(path.parent) for path in sorted(root.rglob(_INDEX))]


def job_folder(number: int, count: int, settings: Mapping[str, str]) -> str:
    """Return the name of a job's folder: its number and settings, in portable characters.

    Args:
        number: number of the job.
        count: number of all jobs; every number gets as many digits as the last one.
        settings: key -> value of the keys that differ, spelled as on the command line.
    """
    text = ",".join(f"{key}={value}" for key, value in settings.items())
    safe = re.sub(r"[^A-Za-z0-9._=,+-]+", "_", text)[:_MAX_SETTINGS].rstrip("._=,+-")
    name = f"{number:0{len(str(max(0, count - 1)))}}"
    return f"{name}-{safe}" if safe else name
