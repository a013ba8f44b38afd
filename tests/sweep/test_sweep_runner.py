"""Which jobs of a sweep are launched again, and how, where the launcher gives up."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from kdrun.config.command import read_command
from kdrun.core.errors import UserError
from kdrun.core.lock import FolderLock
from kdrun.core.screen import Screen
from kdrun.core.sweep import NOT_STARTED, SweepFolder, SweepJob
from kdrun.sweep.runner import _run_jobs, resume_sweep, run_sweep

JOBS = [SweepJob(number, str(number), (), {}) for number in range(3)]


class Launcher:
    """Gives up before any job has begun, so many times or for ever; else jobs finish."""

    def __init__(self, sweep: SweepFolder, failures: float) -> None:
        self.sweep, self.failures = sweep, failures
        self.launched: list[list[int]] = []

    def __call__(self, jobs: Sequence[SweepJob]) -> None:
        self.launched.append([job.number for job in jobs])
        if len(self.launched) <= self.failures:
            raise RuntimeError("a worker died")
        for job in jobs:
            folder = self.sweep.run(job)
            folder.path.mkdir(parents=True)
            folder.update(status="finished")


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    made = SweepFolder(tmp_path)
    made.write(command="", words=[], working_folder="", at_once=3, launcher=[], jobs=JOBS)
    return made


def test_where_a_worker_died_before_any_job_began_each_is_launched_by_itself(
    sweep: SweepFolder,
) -> None:
    launcher = Launcher(sweep, failures=1)
    _run_jobs(JOBS, sweep, launcher, Screen())
    assert launcher.launched == [[0, 1, 2], [0], [1], [2]]
    assert [sweep.status(job) for job in JOBS] == ["finished"] * 3


def test_a_launcher_that_can_not_start_one_job_either_is_left_with_a_sentence(
    sweep: SweepFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher = Launcher(sweep, failures=99)
    _run_jobs(JOBS, sweep, launcher, Screen())
    assert launcher.launched == [[0, 1, 2], [0]]
    assert [sweep.status(job) for job in JOBS] == [NOT_STARTED] * 3
    assert "the launcher can't start 0 alone either" in capsys.readouterr().err


class DeadlyJob:
    """Job 0 kills its worker at the same point each time; jobs beside it die with it."""

    def __init__(self, sweep: SweepFolder) -> None:
        self.sweep = sweep
        self.launched: list[list[int]] = []

    def __call__(self, jobs: Sequence[SweepJob]) -> None:
        self.launched.append([job.number for job in jobs])
        dies = any(job.number == 0 for job in jobs)
        for job in jobs[:2]:
            folder = self.sweep.run(job)
            folder.path.mkdir(parents=True, exist_ok=True)
            with FolderLock(folder.path):
                folder.update(status="running" if dies else "finished")
        if dies:
            raise RuntimeError("a worker died")


def test_a_job_that_dies_where_it_died_before_has_been_started(sweep: SweepFolder) -> None:
    launcher = DeadlyJob(sweep)
    _run_jobs(JOBS, sweep, launcher, Screen())
    assert launcher.launched == [[0, 1, 2], [2], [0], [1]]
    assert [sweep.status(job) for job in JOBS] == ["crashed", "finished", "finished"]


def test_a_crashed_job_that_dies_with_a_sweep_that_is_stopped_is_interrupted(
    sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for job in JOBS[:2]:
        sweep.run(job).path.mkdir()
        sweep.run(job).update(status="running")

    def stop(*_: object) -> None:
        FolderLock(sweep.run(JOBS[0]).path).acquire(wait=False).release()
        os.utime(sweep.run(JOBS[0]).path / ".lock", (0, 0))  # any other time than before
        raise KeyboardInterrupt

    monkeypatch.setattr("kdrun.sweep.runner._run_all", stop)
    run_sweep(sweep, read_command([]), Screen())
    assert [sweep.status(job) for job in JOBS] == ["interrupted", "crashed", NOT_STARTED]


@pytest.mark.parametrize("name", ["0", "1/.hydra", "2/.hydra/config.yaml"])
def test_a_link_where_a_job_would_be_written_ends_the_sweep(
    sweep: SweepFolder, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).symlink_to(elsewhere)
    with pytest.raises(UserError, match="is a symbolic link"):
        run_sweep(sweep, read_command([]), Screen())
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize(("numbers", "status"), [((), 130), ((signal.SIGTERM,), 143)])
def test_a_sweep_that_is_stopped_at_once_has_the_status_of_the_signal(
    sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch, numbers: tuple[int, ...], status: int
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt(*numbers)

    monkeypatch.setattr("kdrun.sweep.runner._run_all", stop)
    assert run_sweep(sweep, read_command([]), Screen()) == status


@pytest.mark.parametrize("place", ["words", "launcher", "jobs"])
def test_a_package_of_configs_is_not_imported_for_a_sweep(
    sweep: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "evil_package.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    words = ("hydra.searchpath=[pkg://evil_package]",)
    changed = {"jobs": [SweepJob(0, "0", words, {})]} if place == "jobs" else {place: words}
    sweep.write(**changed)
    with pytest.raises(UserError, match="it imports a package"):
        resume_sweep(sweep, (), Screen())
