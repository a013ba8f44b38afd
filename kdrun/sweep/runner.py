"""Running the jobs of a sweep folder, when it is new and when it is gone on with."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kdrun.compare.report.write import write_sweep_report
from kdrun.compare.runs import run_lines, started_in, sweep_line
from kdrun.config.command import Command, read_command
from kdrun.config.loader import install_named_plugins
from kdrun.config.overrides import translate_settings
from kdrun.core.errors import typed
from kdrun.core.lock import FolderLock
from kdrun.core.screen import Screen
from kdrun.core.sweep import DONE, NOT_STARTED, SweepFolder, SweepJob
from kdrun.sweep.hydra_launcher import Launch, ending_on_sigterm, launching, measure, survives
from kdrun.sweep.trials import add_trials, is_hopeless, winner

_POLL = 0.2  # seconds between two looks at jobs that run in other processes
_PATIENCE = 10.0  # seconds for a launcher's workers to end after Ctrl-C; SLURM's go on


def run_sweep(sweep: SweepFolder, command: Command, screen: Screen) -> int:
    """Run every job that is not done yet, then say what became of each; the exit status.

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
            with ending_on_sigterm():
                _run_all(sweep, command, screen)
        except SystemExit as end:
            status = int(end.code or 0)
        except KeyboardInterrupt:
            status = 130
        _wait_for_jobs(sweep, _PATIENCE)
        if status:
            _record_interrupted(sweep, before)
    _tell(sweep, screen)
    return status or int(not sweep.is_complete)


def _record_interrupted(sweep: SweepFolder, before: Mapping[int, Mapping[str, Any]]) -> None:
    """Jobs that were cut with the sweep did not crash: joblib kills its workers on Ctrl-C."""
    for job in sweep.jobs():
        run = sweep.run(job)
        if sweep.status(job) == "crashed" and run.manifest() != before.get(job.number):
            with FolderLock(run.path).acquire(wait=False):
                run.update(status="interrupted", error="interrupted with its sweep")


def resume_sweep(sweep: SweepFolder, screen: Screen) -> int:
    """`kdrun resume SWEEP`: as it was started, but for what is done; the exit status.

    Raises:
        RunInUse: the sweep, or one of its jobs, is running already.
    """
    if sweep.is_complete:
        screen.say(f"{sweep.path} is finished; its jobs: {typed('show', sweep.path)}")
        return 0
    index = sweep.index()
    sweep = SweepFolder(started_in(index, sweep.path))
    command = read_command(index["words"])
    install_named_plugins(command.settings, command.folders)
    return run_sweep(sweep, translate_settings(command), screen)


def _run_all(sweep: SweepFolder, command: Command, screen: Screen) -> None:
    """Run the jobs that are not done; of a search also those that it finds then."""
    if not sweep.jobs():
        add_trials(sweep)
    todo = [job for job in sweep.jobs() if sweep.status(job) not in DONE]
    if sweep.index().get("measures"):
        todo = measure(todo, sweep, command, screen)
    with launching(sweep, command) as launch:
        _run_jobs(todo, sweep, launch, screen)
        while add_trials(sweep):
            new = [job for job in sweep.jobs() if sweep.status(job) == NOT_STARTED]
            _run_jobs(new, sweep, launch, screen)


def _run_jobs(todo: Sequence[SweepJob], sweep: SweepFolder, launch: Launch, screen: Screen) -> None:
    """Launch jobs, and those again that another one's death has cut.

    joblib ends all of its workers when one dies. So what had not begun is launched again, and what
    was cut is launched by itself: whatever kills its worker then takes nothing else along. The
    same goes for all of them where a worker died before any had begun.
    """
    alone: dict[int, SweepJob] = {}
    while todo:
        before = {job.number: sweep.run(job).manifest() for job in todo}
        if survives(launch, todo, screen):
            break
        _wait_for_jobs(sweep)  # some launchers leave the others alone
        left = [job for job in todo if sweep.run(job).manifest() == before[job.number]]
        again = todo if left == todo else [job for job in todo if sweep.status(job) == "crashed"]
        alone |= {job.number: job for job in again}
        todo = [] if left == todo else left
    for job in alone.values():
        before_it = sweep.run(job).manifest()
        if not survives(launch, [job], screen) and sweep.run(job).manifest() == before_it:
            screen.fail(f"the launcher can't start {job.folder} by itself either; it ends here")
            break


def _wait_for_jobs(sweep: SweepFolder, patience: float = math.inf) -> None:
    """Until no process runs one of them any more, or for so many seconds."""
    end = time.monotonic() + patience
    while any(sweep.status(job) == "running" for job in sweep.jobs()) and time.monotonic() < end:
        time.sleep(_POLL)


def _tell(sweep: SweepFolder, screen: Screen) -> None:
    """Say what became of each job, and which trial of a search is the best."""
    if any(sweep.run(job).is_run for job in sweep.jobs()):
        write_sweep_report(sweep.path, screen)
    screen.say(sweep_line(sweep))
    for line in run_lines(sweep.path):
        screen.say(f"  {line}")
    if "search" in sweep.index() and (len(sweep.jobs()) == sweep.size or is_hopeless(sweep)):
        screen.say(winner(sweep))
    if not sweep.is_complete:
        screen.say(f"run what is not finished: {typed('resume', sweep.path)}")
