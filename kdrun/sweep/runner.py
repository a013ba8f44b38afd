"""Runs the jobs of a sweep folder, whether the sweep is new or resumed."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kdrun.compare.report.write import write_sweep_report
from kdrun.compare.runs import run_lines, started_in, sweep_line
from kdrun.config.command import Command, read_command
from kdrun.config.loader import install_named_plugins
from kdrun.config.overrides import translate_settings
from kdrun.core.errors import shell_command
from kdrun.core.lock import FolderLock
from kdrun.core.screen import Screen
from kdrun.core.sweep import DONE, NOT_STARTED, SweepFolder, SweepJob
from kdrun.sweep.hydra_launcher import (
    Launch,
    exit_on_sigterm,
    measure_first_job,
    open_launcher,
    try_launch,
)
from kdrun.sweep.trials import add_trials, describe_best, is_hopeless

_POLL = 0.2  # seconds between two checks of jobs that run in other processes
_TIMEOUT = 10.0  # seconds for a launcher's workers to end after Ctrl-C; SLURM's do not end


def run_sweep(sweep: SweepFolder, command: Command, screen: Screen) -> int:
    """Run every job that is not done, print the outcome of each, and return the exit status.

    Raises:
        RunInUse: the sweep, or one of its jobs, is running already.
    """
    status = 0
    with sweep.lock().acquire(wait=False):
        before = {job.number: sweep.run(job).manifest() for job in sweep.jobs()}
        for job in sweep.jobs():
            if sweep.run(job).is_run:
                FolderLock(sweep.run(job).path).acquire(wait=False).release()
        try:
            with exit_on_sigterm():
                _run_all(sweep, command, screen)
        except SystemExit as end:
            status = int(end.code or 0)
        except KeyboardInterrupt:
            status = 130
        _wait_for_jobs(sweep, _TIMEOUT)
        if status:
            _record_interrupted(sweep, before)
    _print_outcome(sweep, screen)
    return status or int(not sweep.is_complete)


def _record_interrupted(sweep: SweepFolder, before: Mapping[int, Mapping[str, Any]]) -> None:
    """Mark the jobs that ended with the sweep as interrupted: joblib kills its workers on Ctrl-C.

    Args:
        sweep: that was interrupted.
        before: each job's manifest before the sweep ran; jobs that still have it did not run.
    """
    for job in sweep.jobs():
        run = sweep.run(job)
        if sweep.status(job) == "crashed" and run.manifest() != before.get(job.number):
            with FolderLock(run.path).acquire(wait=False):
                run.update(status="interrupted", error="interrupted with its sweep")


def resume_sweep(sweep: SweepFolder, screen: Screen) -> int:
    """Run the jobs of a sweep that are not done, as it was started; return the exit status.

    Raises:
        RunInUse: the sweep, or one of its jobs, is running already.
    """
    if sweep.is_complete:
        screen.say(f"{sweep.path} is finished; its jobs: {shell_command('show', sweep.path)}")
        return 0
    index = sweep.index()
    sweep = SweepFolder(started_in(index, sweep.path))
    command = read_command(index["words"])
    install_named_plugins(command.settings, command.folders)
    return run_sweep(sweep, translate_settings(command), screen)


def _run_all(sweep: SweepFolder, command: Command, screen: Screen) -> None:
    """Run the jobs that are not done, and the trials that a search adds after them."""
    if not sweep.jobs():
        add_trials(sweep)
    todo = [job for job in sweep.jobs() if sweep.status(job) not in DONE]
    if sweep.index().get("measures"):
        todo = measure_first_job(todo, sweep, command, screen)
    with open_launcher(sweep, command) as launch:
        _run_jobs(todo, sweep, launch, screen)
        while add_trials(sweep):
            new = [job for job in sweep.jobs() if sweep.status(job) == NOT_STARTED]
            _run_jobs(new, sweep, launch, screen)


def _run_jobs(todo: Sequence[SweepJob], sweep: SweepFolder, launch: Launch, screen: Screen) -> None:
    """Launch jobs, and launch the jobs again that were lost when the process of another one died.

    joblib ends all of its workers when one dies. Jobs that had not started are launched again
    together. Jobs that were running are launched one by one, so that the one that kills its worker
    takes no other job along. If no job had started, all of them are launched one by one.
    """
    single: dict[int, SweepJob] = {}
    while todo:
        before = {job.number: sweep.run(job).manifest() for job in todo}
        if try_launch(launch, todo, screen):
            break
        _wait_for_jobs(sweep)  # some launchers keep their other workers
        waiting = [job for job in todo if sweep.run(job).manifest() == before[job.number]]
        crashed = [job for job in todo if sweep.status(job) == "crashed"]
        none_started = waiting == todo
        single |= {job.number: job for job in (todo if none_started else crashed)}
        todo = [] if none_started else waiting
    for job in single.values():
        manifest = sweep.run(job).manifest()
        if not try_launch(launch, [job], screen) and sweep.run(job).manifest() == manifest:
            screen.fail(f"the launcher can't start {job.folder} by itself either; it ends here")
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
