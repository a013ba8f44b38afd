"""One job of a sweep, in whichever process a launcher runs it."""

import os
import shlex
import time
from collections.abc import Mapping
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
from kdrun.core.errors import Pruned
from kdrun.core.folder import RunFolder
from kdrun.core.screen import Screen, report
from kdrun.core.sweep import DONE, SweepFolder
from kdrun.run.new_folder import shown

if TYPE_CHECKING:
    from kdrun.run.runner import Plan

_POLL = 1.0  # seconds between two looks at whether the sweep's process is there


def run_job(config: DictConfig) -> None:
    """Run what is not done yet of the job that Hydra composed; launchers find this by its name.

    A failed job is recorded in its folder and reported there, and the others go on.
    """
    from kdrun.run.runner import run

    settings = HydraConfig.get()
    folders = [one.path for one in settings.runtime.config_sources if one.provider == CONFIG_DIR]
    complete_inner_nodes(config, make_loader(folders))
    composed = OmegaConf.to_container(config, resolve=True)
    assert isinstance(composed, dict)
    tree = {str(key): value for key, value in composed.items() if key != "hydra"}
    sweep = SweepFolder(shown(Path(settings.sweep.dir)))
    folder = RunFolder(shown(Path(settings.runtime.output_dir)))
    if current_process().name != "MainProcess":  # a worker of joblib; others are not our children
        if not sweep.lock().is_held():
            return
        _end_with_parent()
    if folder.is_run and folder.status in DONE:  # by a worker that outlived its sweep
        return
    screen = Screen()
    try:
        plan = replace(_plan(folder, tree, sweep.index()["at_once"]), bars=sweep.bars(folder.path))
        run(plan, folder.path, screen, shlex.join(["kdrun", *settings.overrides.task]))
    except Pruned as error:
        screen.say(error.lines[0])
    except Exception as error:  # noqa: BLE001 - Hydra would print its own trace
        status = report(error, screen, bool(tree["debug"]))
        if status >= 128:
            raise SystemExit(status) from None


def _plan(folder: RunFolder, tree: Mapping[str, Any], jobs: int) -> "Plan":
    """The job's checked config: that which it began with, where it was cut."""
    from kdrun.check.preflight import check

    begun = "config" in folder.manifest()
    try:
        return check(with_new_keys(folder.config()) if begun else tree, jobs)
    except Exception as error:
        if not begun:
            folder.update(status="failed", error=str(error).splitlines()[0])
        raise


@cache
def _end_with_parent() -> None:
    """End this process when its parent is gone, as nobody else would; for all of its jobs.

    A worker whose sweep was killed would wait for ever to tell it that its job is done.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL)
        os._exit(1)

    Thread(target=watch, name="parent", daemon=True).start()
