"""A run or a sweep: check its settings, make its folder, run it."""

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
from kdrun.config.compose import ComposedRun, compose_runs
from kdrun.config.loader import install_named_plugins
from kdrun.config.overrides import quote, translate_settings
from kdrun.core.errors import ConfigError
from kdrun.core.screen import Screen, report
from kdrun.core.sweep import SweepFolder
from kdrun.run.new_folder import faults_of_folder, new_folder, shown
from kdrun.sweep.job_list import name_jobs
from kdrun.sweep.parallel_jobs import LauncherChoice, choose_launcher, faults_of_jobs
from kdrun.sweep.runner import run_sweep

if TYPE_CHECKING:
    from kdrun.run.runner import Plan


def launch(words: Sequence[str], screen: Screen) -> int:
    """Check every run that the command asks for, then run them, and return the exit status.

    Args:
        words: what is typed after `kdrun`.
        screen: messages are printed here.

    Raises:
        ConfigError: with all faults; nothing was written.
    """
    command = read_command(words)
    plugin_faults = install_named_plugins(command.settings, command.folders)
    command = translate_settings(command)
    if command.shows_only:
        if plugin_faults:
            raise ConfigError(plugin_faults)
        return _show_config(command)
    jobs = compose_runs(command.settings, command.multirun, command.folders)
    setting, choice = jobs[0].tree["launcher"]["jobs"], LauncherChoice([], 1)
    if command.multirun:
        choice = choose_launcher(setting, jobs[0].launcher, len(jobs))
    plans = check_jobs(jobs, choice.parallel)
    if jobs[0].tree["check"]:
        from kdrun.cli.plan import report_plan

        for plan in plans:
            report_plan(plan, screen)
        return 0
    folder = shown(new_folder(jobs[0], command.multirun))
    if not command.multirun:
        return _run_one(plans[0], folder, command, screen, shlex.join(["kdrun", *words]))
    measures = setting == "auto" and plans[0].hardware.device.type == "cuda"
    plans.clear()  # frees their data: the jobs load their own
    sweep = SweepFolder(folder)
    sweep.write(
        command=shlex.join(["kdrun", *words]),
        words=list(words),
        launcher=choice.overrides,
        at_once=choice.parallel,
        measures=measures,
        path=str(folder.resolve()),
        working_folder=str(Path.cwd()),
        jobs=name_jobs([job.settings for job in jobs]),
    )
    return run_sweep(sweep, command, screen)


def check_jobs(jobs: Sequence[ComposedRun], parallel: int) -> "list[Plan]":
    """Check every job and return its plan.

    Args:
        jobs: the runs that the command asks for.
        parallel: how many of them run on this machine at the same time.

    Raises:
        ConfigError: with the faults of all jobs.
    """
    from kdrun.check.preflight import check

    plans: list[Plan] = []
    faults = faults_of_folder(jobs[0])
    faults += faults_of_jobs(jobs[0].tree["launcher"]["jobs"], jobs[0].launcher)
    for job in jobs:
        faults += job.faults
        try:
            plans.append(check(job.tree, parallel, job.unknown_groups))
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return plans


def _show_config(command: Command) -> int:
    """Let Hydra show a config; names and keys are checked before, values are not."""
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
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises errors instead of printing them
    start = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")
    start(job)()


def _run_one(plan: "Plan", folder: Path, command: Command, screen: Screen, typed: str) -> int:
    """Run a checked plan in the folder that Hydra writes its files to; return the exit status."""
    from kdrun.run.runner import run

    statuses: list[int] = []

    def job(_: DictConfig) -> None:
        try:
            run(plan, folder, screen, typed)
            statuses.append(0)
        except Exception as error:  # noqa: BLE001 - Hydra would print its own trace
            statuses.append(report(error, screen, plan.config.debug))

    run_folder = f"hydra.run.dir={quote(str(folder))}"
    _start_hydra(replace(command, settings=(*command.settings, run_folder)), job)
    return statuses[0]
