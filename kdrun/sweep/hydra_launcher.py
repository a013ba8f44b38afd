"""Runs the jobs of a sweep folder by Hydra's launchers."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.errors import InstantiationException
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from kdrun.config.command import Command
from kdrun.config.foreign_code import refuse_foreign_code, untyped_launcher
from kdrun.config.loader import hydra_loader, make_loader
from kdrun.config.overrides import quote
from kdrun.core.cores import THREADS, count_cores
from kdrun.core.errors import ConfigError, Fault, first_line
from kdrun.core.hangup import silence_closed_terminal, stop_signals
from kdrun.core.plugins import named_plugins
from kdrun.core.screen import Screen
from kdrun.core.sweep import DONE, SweepFolder, SweepJob
from kdrun.sweep.parallel_jobs import joblib_overrides, jobs_that_fit
from kdrun.sweep.worker import run_job

Launch = Callable[[Sequence[SweepJob]], None]  # runs jobs, and returns when they have ended


class DropConfigs(Callbacks):
    """Drops the configs of a job when it ends.

    Launchers keep what a job returns until the last one ends: 0.2 MB a job with its configs.
    """

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        job_return.cfg = job_return.hydra_cfg = None


@contextmanager
def open_launcher(sweep: SweepFolder, command: Command) -> Iterator[Launch]:
    """Set up the launcher that the command selects, and yield a function that runs jobs by it."""
    folder = f"hydra.sweep.dir={quote(str(sweep.path))}"
    overrides = [*command.settings, *sweep.index()["launcher"], folder]
    with _shared_cores(sweep.index()["at_once"]), hydra_loader(command.folders):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        config = hydra.compose_config("config", overrides, RunMode.MULTIRUN, True)
        refuse_foreign_code(config)  # a sweep folder may come from a stranger
        if faults := untyped_launcher(config.hydra.launcher, command.typed):
            raise ConfigError(faults)
        context = HydraContext(config_loader=make_loader(command.folders), callbacks=DropConfigs())
        task = partial(run_job, plugins=tuple(named_plugins()))
        try:
            launcher = Plugins.instance().instantiate_launcher(context, task, config)
        except InstantiationException as error:  # it takes no such setting
            raise ConfigError(
                [Fault("hydra.launcher", first_line(error.__cause__ or error))]
            ) from error

        def launch(jobs: Sequence[SweepJob]) -> None:
            if jobs:  # their folder is set last, as their words may come from a stranger
                launcher.launch([[*_job_overrides(job), folder] for job in jobs], jobs[0].number)

        yield launch


@contextmanager
def _shared_cores(parallel: int) -> Iterator[None]:
    """Tell jobs that share this machine how many cores there are to share, unless the user did.

    Otherwise joblib and Ray set the variable to one job's share, which the job would divide again.

    Args:
        parallel: how many jobs run on this machine at the same time.
    """
    if parallel == 1 or THREADS in os.environ:
        yield
        return
    os.environ[THREADS] = str(count_cores())
    try:
        yield
    finally:
        del os.environ[THREADS]


def _job_overrides(job: SweepJob) -> list[str]:
    return [*job.words, f"hydra.sweep.subdir={quote(job.folder)}"]


def try_launch(launch: Launch, jobs: Sequence[SweepJob], screen: Screen) -> bool:
    """Run jobs, and return whether the launcher completed; if it did not, print the reason.

    A launcher continues after a failed job, but may stop if the process of a job dies.
    """
    try:
        launch(jobs)
    except ConfigError:  # a job would run foreign code
        raise
    except Exception as error:  # noqa: BLE001 - launchers raise different errors when a worker dies
        reason = str(error).strip().splitlines()
        screen.fail(f"the launcher gave up: {type(error).__name__}: {''.join(reason[:1])}")
        return False
    return True


def measure_first_job(
    jobs: Sequence[SweepJob], sweep: SweepFolder, command: Command, screen: Screen
) -> list[SweepJob]:
    """Run jobs one by one until one finishes; its GPU memory decides how many run at the same time.

    Returns:
        The jobs that have not run yet.
    """
    import torch

    remaining = list(jobs)
    sweep.write(launcher=joblib_overrides(1), at_once=1)
    with open_launcher(sweep, command) as launch:
        while remaining:
            job = remaining.pop(0)
            try_launch(launch, [job], screen)
            if sweep.status(job) in DONE:
                break
        else:
            return []
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(torch.device(sweep.run(job).config()["device"]))
    peak = sweep.run(job).manifest()["peak_memory"]
    assert peak is not None  # the device is a GPU
    parallel = jobs_that_fit(free, peak, len(remaining))
    sweep.write(launcher=joblib_overrides(parallel), at_once=parallel, measures=False)
    screen.say(
        f"{parallel} at a time: the first job took {peak / 2**30:.1f} GiB of the GPU's memory,"
        f" {free / 2**30:.1f} GiB are free"
    )
    return remaining


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Raise `SystemExit` on SIGTERM or SIGHUP, so that a launcher ends its workers as on Ctrl-C."""

    def end(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            silence_closed_terminal()
            signal.signal(number, signal.SIG_IGN)  # the kernel and the shell both send it
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in stop_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
