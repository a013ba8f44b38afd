"""Runs the jobs of a sweep folder, whether the sweep is new or resumed."""

import math
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kdrun.compare.report.write import write_sweep_report
from kdrun.compare.runs import run_lines, started_in, sweep_line
from kdrun.config.command import Command, listed, read_command
from kdrun.config.loader import install_named_plugins
from kdrun.config.overrides import translate_settings
from kdrun.core.atomic import refuse_link
from kdrun.core.errors import UserError, shell_command, stop_status
from kdrun.core.lock import FolderLock
from kdrun.core.plugins import plugins_of_config
from kdrun.core.records.sweep import SweepIndex
from kdrun.core.screen import Screen
from kdrun.core.sweep import DONE, NOT_STARTED, SweepFolder, SweepJob
from kdrun.sweep.hydra_launcher import (
    Launch,
    exit_on_signals,
    measure_first_job,
    open_launcher,
    try_launch,
)
from kdrun.sweep.trials import add_trials, describe_best, is_hopeless

_POLL = 0.2  # seconds between two checks of jobs that run in other processes
_TIMEOUT = 10.0  # seconds to wait for a launcher's workers after Ctrl-C; SLURM jobs do not end


def run_sweep(
    sweep: SweepFolder, command: Command, screen: Screen, lock: FolderLock | None = None
) -> int:
    """Run every job that is not done, print a line for each job, and return the exit status.

    Args:
        sweep: the folder of the sweep.
        command: the command that started it.
        screen: where messages are printed.
        lock: the lock of the folder, if the caller has taken it; it is released in the end.

    Raises:
        RunInUse: another process runs the sweep or one of its jobs.
        UserError: a file or folder that would be written is a link.
    """
    status = 0
    _refuse_links(sweep.path)
    with lock or sweep.lock():
        for job in sweep.jobs():
            if sweep.run(job).is_run:
                FolderLock(sweep.run(job).path).acquire(wait=False).release()
        before = _last_starts(sweep, sweep.jobs())
        try:
            with exit_on_signals():
                _run_all(sweep, command, screen)
        except SystemExit as end:
            status = int(end.code or 0)
        except KeyboardInterrupt as stop:
            status = stop_status(stop)
        _wait_for_jobs(sweep, _TIMEOUT)
        if status:
            _mark_interrupted(sweep, before)
    _print_outcome(sweep, screen)
    return status or int(not sweep.is_complete)


def _refuse_links(folder: Path) -> None:
    """Refuse links to job folders and those that Hydra, which follows them, would write to."""
    for pattern in ("*", "*/.hydra", "*/.hydra/*"):
        for path in folder.glob(pattern):
            refuse_link(path)


def _last_starts(sweep: SweepFolder, jobs: Sequence[SweepJob]) -> dict[int, int]:
    """Return for the number of each job when a process last started or ended it.

    A record would not tell: a job that dies where it died before leaves the same one.
    """
    return {job.number: FolderLock(sweep.run(job).path).last_taken() for job in jobs}


def _mark_interrupted(sweep: SweepFolder, before: Mapping[int, int]) -> None:
    """Mark jobs that were killed with the sweep as interrupted: joblib kills its workers on Ctrl-C.

    Args:
        sweep: the interrupted sweep.
        before: the last starts of its jobs before the sweep.
    """
    now = _last_starts(sweep, sweep.jobs())
    for job in sweep.jobs():
        run = sweep.run(job)
        if sweep.status(job) == "crashed" and now[job.number] != before.get(job.number):
            with FolderLock(run.path).acquire(wait=False):
                run.update(status="interrupted", error="interrupted with its sweep")


def resume_sweep(sweep: SweepFolder, typed: Sequence[str], screen: Screen) -> int:
    """Run the jobs of a sweep that are not done, by its original command; return the exit status.

    Args:
        sweep: the sweep, which may come from a stranger.
        typed: words of its command that the user typed once more, as they may run code.
        screen: where messages are printed.

    Raises:
        UserError: a typed word is not of the sweep, or a word that may run code was not typed.
        RunInUse: another process runs the sweep or one of its jobs.
    """
    if sweep.is_complete:
        screen.say(f"{sweep.path} is finished; its jobs: {shell_command('show', sweep.path)}")
        return 0
    index = sweep.index()
    _check_typed(index, typed)
    sweep = SweepFolder(started_in(index, sweep.path))
    command = replace(read_command(index["words"]), typed=tuple(typed))
    plugins_of_config(listed(command.settings, "plugins"))  # refuses those not named
    install_named_plugins(command.settings, command.folders)
    return run_sweep(sweep, translate_settings(command), screen)


def _check_typed(index: SweepIndex, typed: Sequence[str]) -> None:
    """Refuse typed words that are not of the sweep, and packages of configs that were not typed."""
    words = [*index["words"], *index["launcher"]]
    words += [word for job in index["jobs"] for word in job["words"]]
    for word in typed:
        if word not in words:
            raise UserError(
                f"{word!r} is no setting of this sweep.",
                "  resume takes its own settings once more that may run code, and plugins=[MODULE]",
            )
    for word in words:  # Hydra imports the packages before it composes the config
        if "hydra.searchpath" in word and "pkg:" in word and word not in typed:
            raise UserError(
                f"{word!r} of the sweep is refused: it imports a package.",
                f"  if you trust it, type it yourself: kdrun resume SWEEP {shlex.quote(word)}",
            )


def _run_all(sweep: SweepFolder, command: Command, screen: Screen) -> None:
    """Run the jobs that are not done, and then the trials that a search adds."""
    if not sweep.jobs():
        add_trials(sweep)
    jobs = [job for job in sweep.jobs() if sweep.status(job) not in DONE]
    if sweep.index().get("measures"):
        jobs = measure_first_job(jobs, sweep, command, screen)
    with open_launcher(sweep, command) as launch:
        _run_jobs(jobs, sweep, launch, screen)
        while add_trials(sweep):
            new = [job for job in sweep.jobs() if sweep.status(job) == NOT_STARTED]
            _run_jobs(new, sweep, launch, screen)


def _run_jobs(jobs: Sequence[SweepJob], sweep: SweepFolder, launch: Launch, screen: Screen) -> None:
    """Launch jobs, and relaunch jobs that were lost because the process of another job died.

    joblib ends all of its workers when one dies. Jobs that had not started are relaunched together.
    Jobs that were running are relaunched one by one, so that a job that kills its worker ends no
    other job. If no job had started, all jobs are relaunched one by one.
    """
    relaunched: dict[int, SweepJob] = {}
    while jobs:
        before = _last_starts(sweep, jobs)
        if try_launch(launch, jobs, screen):
            break
        _wait_for_jobs(sweep)  # some launchers keep their other workers
        now = _last_starts(sweep, jobs)
        waiting = [job for job in jobs if now[job.number] == before[job.number]]
        started = [job for job in jobs if now[job.number] != before[job.number]]
        crashed = [job for job in started if sweep.status(job) == "crashed"]
        none_started = waiting == jobs
        relaunched |= {job.number: job for job in (jobs if none_started else crashed)}
        jobs = [] if none_started else waiting
    for job in relaunched.values():
        before = _last_starts(sweep, [job])
        if not try_launch(launch, [job], screen) and _last_starts(sweep, [job]) == before:
            screen.fail(f"the launcher can't start {job.folder} alone either; the sweep ends here")
            break


def _wait_for_jobs(sweep: SweepFolder, timeout: float = math.inf) -> None:
    """Wait until no process runs a job of the sweep, at most `timeout` seconds."""
    end = time.monotonic() + timeout
    while any(sweep.status(job) == "running" for job in sweep.jobs()) and time.monotonic() < end:
        time.sleep(_POLL)


def _print_outcome(sweep: SweepFolder, screen: Screen) -> None:
    """Write the report; print a line for each job, and the best trial of a search."""
    if any(sweep.run(job).is_run for job in sweep.jobs()):
        write_sweep_report(sweep.path, screen)
    screen.say(sweep_line(sweep))
    for line in run_lines(sweep.path):
        screen.say(f"  {line}")
    if "search" in sweep.index() and (len(sweep.jobs()) == sweep.size or is_hopeless(sweep)):
        screen.say(describe_best(sweep))
    if not sweep.is_complete:
        screen.say(f"run what is not finished: {shell_command('resume', sweep.path)}")
