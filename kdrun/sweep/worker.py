"""Runs one job of a sweep, in the process that a launcher provides."""

import os
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from multiprocessing import current_process
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from kdrun.config.files import CONFIG_DIR
from kdrun.config.inner_nodes import complete_inner_nodes
from kdrun.config.loader import make_loader
from kdrun.config.older_runs import with_new_keys
from kdrun.core.errors import DiskFull, TrialStopped, first_line
from kdrun.core.folder import RunFolder
from kdrun.core.plugins import plugin_modules
from kdrun.core.screen import Screen, report
from kdrun.core.sweep import DONE, SweepFolder
from kdrun.run.new_folder import shown

if TYPE_CHECKING:
    from kdrun.run.plan import Plan

_POLL = 1.0  # seconds between two checks of whether the parent process is alive


def run_job(config: DictConfig, plugins: Sequence[str] = ()) -> None:
    """Run a job, or the rest of an interrupted one; do nothing if it is done.

    A failed job is recorded and reported, and does not stop the other jobs. Launchers pickle this
    function by its module and name.

    Args:
        config: config of the job, as Hydra composed it.
        plugins: the plugins that the user's words name, which the job may import.
    """
    from kdrun.run.runner import run

    plugin_modules(plugins)  # this may be another process than the one that read the words
    hydra = HydraConfig.get()
    sources = hydra.runtime.config_sources
    folders = [source.path for source in sources if source.provider == CONFIG_DIR]
    complete_inner_nodes(config, make_loader(folders))
    composed = OmegaConf.to_container(config, resolve=True)
    assert isinstance(composed, dict)
    tree = {str(key): value for key, value in composed.items() if key != "hydra"}
    sweep = SweepFolder(shown(Path(hydra.sweep.dir)))
    folder = RunFolder(shown(Path(hydra.runtime.output_dir)))
    if current_process().name != "MainProcess":  # a child process, as joblib starts them
        if not sweep.lock().is_held():
            return
        _exit_with_parent()
    if folder.is_run and folder.status in DONE:  # finished by a worker that outlived its sweep
        return
    screen = Screen()
    try:
        plan = replace(
            _plan(folder, tree, sweep.index()["at_once"]), thresholds=sweep.bars(folder.path)
        )
        run(plan, folder.path, screen, shlex.join(["kdrun", *hydra.overrides.task]))
    except TrialStopped as error:
        screen.say(error.lines[0])
    except Exception as error:  # noqa: BLE001 - Hydra would print its own trace
        status = report(error, screen, bool(tree["debug"]))
        if status >= 128:
            raise SystemExit(status) from None


def _plan(folder: RunFolder, tree: Mapping[str, Any], parallel: int) -> "Plan":
    """Return the checked plan of a job; an interrupted job keeps the config that it started with.

    Args:
        folder: run folder of the job.
        tree: config of the job, if it starts now.
        parallel: how many jobs run on this machine at the same time.
    """
    from kdrun.check.preflight import check

    started = "config" in folder.manifest()
    try:
        return check(with_new_keys(folder.config()) if started else tree, parallel)
    except Exception as error:
        if not started:
            with suppress(DiskFull):
                folder.update(status="failed", error=first_line(error))
        raise


@cache
def _exit_with_parent() -> None:
    """Start a thread that ends this process when the parent process has ended.

    A joblib worker whose sweep was killed would otherwise wait forever to return its result.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL)
        os._exit(1)

    Thread(target=watch, name="parent", daemon=True).start()
