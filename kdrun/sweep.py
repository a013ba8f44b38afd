"""Running the jobs of a sweep folder, when it is new and when it is gone on with."""

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode

from kdrun.command import Command, read_command
from kdrun.compare.runs import run_lines, started_in, sweep_line
from kdrun.composing import composing, named_plugins, quoted
from kdrun.core.lock import FolderLock
from kdrun.core.screen import Screen
from kdrun.core.sweep import DONE, SweepFolder, SweepJob
from kdrun.job import run_job
from kdrun.words import with_choices

Launch = Callable[[Sequence[SweepJob]], None]

_POLL = 0.2  # seconds between two looks at jobs that run in other processes


def run_sweep(sweep: SweepFolder, command: Command, screen: Screen) -> int:
    """Run every job that is not done yet, then say what became of each; the exit status.

    Raises:
        RunInUse: the sweep, or one of its jobs, is running already.
    """
    status = 0
    with sweep.lock().acquire(wait=False):
        for job in sweep.jobs():
            if sweep.run(job).is_run:
                FolderLock(sweep.run(job).path).acquire(wait=False).release()
        try:
            with _ending_on_sigterm(), launching(sweep, command) as launch:
                _run_all(sweep, launch, screen)
        except SystemExit as end:
            status = int(end.code or 0)
        except KeyboardInterrupt:
            status = 130
        _wait_for_jobs(sweep)
    undone = _tell(sweep, screen)
    return status or int(undone)


def resume_sweep(sweep: SweepFolder, screen: Screen) -> int:
    """`kdrun resume SWEEP`: as it was started, but for what is done; the exit status.

    Raises:
        RunInUse: the sweep, or one of its jobs, is running already.
    """
    if all(sweep.status(job) in DONE for job in sweep.jobs()):
        screen.say(f"{sweep.path} is finished; its jobs: kdrun show {sweep.path}")
        return 0
    index = sweep.index()
    sweep = SweepFolder(started_in(index, sweep.path))
    command = with_choices(read_command(index["words"]))
    named_plugins(command.settings)
    return run_sweep(sweep, command, screen)


@contextmanager
def launching(sweep: SweepFolder, command: Command) -> Iterator[Launch]:
    """What runs jobs: the launcher that the words choose, as Hydra would set it up."""
    place = f"hydra.sweep.dir={quoted(str(sweep.path))}"
    words = [*command.settings, *sweep.index()["launcher"], place]
    with composing(command.folders) as loader:
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        config = hydra.compose_config("config", words, RunMode.MULTIRUN, True)
        launcher = Plugins.instance().instantiate_launcher(
            HydraContext(config_loader=loader, callbacks=Callbacks(config)), run_job, config
        )

        def launch(jobs: Sequence[SweepJob]) -> None:
            if jobs:
                launcher.launch([_words(job) for job in jobs], jobs[0].number)

        yield launch


def _words(job: SweepJob) -> list[str]:
    return [*job.words, f"hydra.sweep.subdir={quoted(job.folder)}"]


def _run_all(sweep: SweepFolder, launch: Launch, screen: Screen) -> None:
    """Launch the jobs that are not done, and those again that another one's death has cut.

    joblib ends all of its workers when one dies. So what had not begun is launched again, and what
    was cut is launched by itself: whatever kills its worker then takes nothing else along.
    """
    todo = [job for job in sweep.jobs() if sweep.status(job) not in DONE]
    cut: list[SweepJob] = []
    while todo:
        before = {job.number: sweep.run(job).manifest() for job in todo}
        if _survives(launch, todo, screen):
            break
        _wait_for_jobs(sweep)
        cut += [job for job in todo if sweep.status(job) == "crashed"]
        left = [job for job in todo if sweep.run(job).manifest() == before[job.number]]
        todo = [] if left == todo else left
    for job in cut:
        _survives(launch, [job], screen)


def _survives(launch: Launch, jobs: Sequence[SweepJob], screen: Screen) -> bool:
    try:
        launch(jobs)
    except Exception as error:  # noqa: BLE001 - whatever a launcher raises when a worker dies
        reason = str(error).strip().splitlines()
        screen.fail(f"a job's process died: {type(error).__name__}: {''.join(reason[:1])}")
        return False
    return True


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """SIGTERM ends a launcher as Ctrl-C does; without this its workers would go on alone."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _wait_for_jobs(sweep: SweepFolder) -> None:
    """Until no process is left that runs one of them: some launchers leave the others alone."""
    while any(sweep.status(job) == "running" for job in sweep.jobs()):
        time.sleep(_POLL)


def _tell(sweep: SweepFolder, screen: Screen) -> bool:
    """Say what became of each job; whether any is not done."""
    screen.say(sweep_line(sweep))
    for line in run_lines(sweep.path):
        screen.say(f"  {line}")
    undone = [job for job in sweep.jobs() if sweep.status(job) not in DONE]
    if undone:
        screen.say(f"run what is not finished: kdrun resume {sweep.path}")
    return bool(undone)
