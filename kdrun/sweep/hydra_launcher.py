"""Hydra's launchers at work on jobs of a sweep folder."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.types import HydraContext, RunMode

from kdrun.config.command import Command
from kdrun.config.loader import hydra_loader
from kdrun.config.overrides import quote
from kdrun.core.screen import Screen
from kdrun.core.sweep import DONE, SweepFolder, SweepJob
from kdrun.sweep.parallel_jobs import joblib_words, jobs_that_fit
from kdrun.sweep.worker import run_job

Launch = Callable[[Sequence[SweepJob]], None]


@contextmanager
def launching(sweep: SweepFolder, command: Command) -> Iterator[Launch]:
    """What runs jobs: the launcher that the words choose, as Hydra would set it up."""
    place = f"hydra.sweep.dir={quote(str(sweep.path))}"
    words = [*command.settings, *sweep.index()["launcher"], place]
    with hydra_loader(command.folders) as loader:
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
    return [*job.words, f"hydra.sweep.subdir={quote(job.folder)}"]


def survives(launch: Launch, jobs: Sequence[SweepJob], screen: Screen) -> bool:
    """Run jobs; whether the launcher got to the end of them."""
    try:
        launch(jobs)
    except Exception as error:  # noqa: BLE001 - whatever a launcher raises when a worker dies
        reason = str(error).strip().splitlines()
        screen.fail(f"the launcher gave up: {type(error).__name__}: {''.join(reason[:1])}")
        return False
    return True


def measure(
    jobs: Sequence[SweepJob], sweep: SweepFolder, command: Command, screen: Screen
) -> list[SweepJob]:
    """Run jobs alone until one has finished, and let as many run together as its memory allows.

    Returns:
        Those that are left.
    """
    import torch

    left = list(jobs)
    sweep.write(launcher=joblib_words(1), at_once=1)
    with launching(sweep, command) as launch:
        while left:
            job = left.pop(0)
            survives(launch, [job], screen)
            if sweep.status(job) in DONE:
                break
        else:
            return []
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(torch.device(sweep.run(job).config()["device"]))
    peak = sweep.run(job).manifest()["peak_memory"]
    assert peak is not None  # the device is a GPU
    fit = jobs_that_fit(free, peak, len(left))
    sweep.write(launcher=joblib_words(fit), at_once=fit, measures=False)
    screen.say(
        f"{fit} at a time: the first took {peak / 2**30:.1f} GiB of the GPU's memory,"
        f" {free / 2**30:.1f} GiB are free"
    )
    return left


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """SIGTERM ends a launcher as Ctrl-C does; without this its workers would go on alone."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
