"""Runs and sweeps: the words are checked, a folder is made, and they are run."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from omegaconf import DictConfig

from kdrun.config.choices import conf_folder, offer_models, offer_steps
from kdrun.config.command import Command, read_command
from kdrun.config.compose import compose_runs
from kdrun.config.loader import install_named_plugins
from kdrun.config.overrides import quote, translate_settings
from kdrun.core.errors import ConfigError
from kdrun.core.screen import Screen, report
from kdrun.core.sweep import SweepFolder
from kdrun.run.new_folder import new_folder, shown
from kdrun.sweep.job_list import check_jobs, named_jobs
from kdrun.sweep.parallel_jobs import choose
from kdrun.sweep.runner import run_sweep

if TYPE_CHECKING:
    from kdrun.run.runner import Plan


def launch(words: Sequence[str], screen: Screen) -> int:
    """Check every run that the words ask for, then run them; the exit status.

    Raises:
        ConfigError: something is wrong; nothing was written.
    """
    command = read_command(words)
    broken = install_named_plugins(command.settings, command.folders)
    command = translate_settings(command)
    if command.shows_only:
        if broken:
            raise ConfigError(broken)
        return _look(command)
    jobs = compose_runs(command.settings, command.multirun, command.folders)
    asked = jobs[0].tree["launcher"]["jobs"]
    launcher, parallel = choose(asked, jobs[0].launcher, len(jobs)) if command.multirun else ([], 1)
    plans = check_jobs(jobs, parallel)
    if jobs[0].tree["check"]:
        from kdrun.cli.plan import report_plan

        for plan in plans:
            report_plan(plan, screen)
        return 0
    folder = shown(new_folder(jobs[0], command.multirun))
    if not command.multirun:
        return _run_one(plans[0], folder, command, screen, shlex.join(["kdrun", *words]))
    measures = asked == "auto" and plans[0].hardware.device.type == "cuda"
    plans.clear()  # the data that they hold would be there beside the jobs' own
    sweep = SweepFolder(folder)
    sweep.write(
        command=shlex.join(["kdrun", *words]),
        words=list(words),
        launcher=launcher,
        at_once=parallel,
        measures=measures,
        path=str(folder.resolve()),
        working_folder=str(Path.cwd()),
        jobs=named_jobs([job.settings for job in jobs]),
    )
    return run_sweep(sweep, command, screen)


def _look(command: Command) -> int:
    """Hydra's own ways of looking at a config; the words are checked, what they mean is not."""
    if command.shows_config:
        faults = compose_runs(command.settings, command.multirun, command.folders)[0].faults
        if faults:
            raise ConfigError(faults)
    else:
        offer_models(command.folders)
        offer_steps(command.folders)
    _start_hydra(command, lambda _: None)
    return 0


def _start_hydra(command: Command, job: Callable[[DictConfig], None]) -> None:
    sys.argv[1:] = [*command.options, *command.settings]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us, rather than to the screen
    start = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")
    start(job)()


def _run_one(plan: "Plan", folder: Path, command: Command, screen: Screen, told: str) -> int:
    """Run what was checked, in the folder that Hydra writes its own files to; the exit status."""
    from kdrun.run.runner import run

    statuses: list[int] = []

    def job(_: DictConfig) -> None:
        try:
            run(plan, folder, screen, told)
            statuses.append(0)
        except Exception as error:  # noqa: BLE001 - Hydra would print its own trace
            statuses.append(report(error, screen, plan.config.debug))

    place = f"hydra.run.dir={quote(str(folder))}"
    _start_hydra(replace(command, settings=(*command.settings, place)), job)
    return statuses[0]
