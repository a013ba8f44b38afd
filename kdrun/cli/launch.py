"""Runs or sweeps: checks the settings, creates the folder, and runs."""

import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra._internal.callbacks import Callbacks
from hydra.core.utils import run_job
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, read_write

from kdrun.config.choices import conf_folder, register_models, register_steps
from kdrun.config.command import Command, read_command
from kdrun.config.compose import ComposedRun, compose_runs, to_yaml
from kdrun.config.loader import install_named_plugins, make_loader
from kdrun.config.overrides import implied_settings, quote, translate_settings
from kdrun.config.sweep_jobs import compose_sweep
from kdrun.core.atomic import refuse_link
from kdrun.core.errors import ConfigError
from kdrun.core.lock import FolderLock
from kdrun.core.screen import Screen, report
from kdrun.core.sweep import SweepFolder
from kdrun.run.new_folder import faults_of_folder, new_folder, shown, take
from kdrun.sweep.job_list import name_jobs
from kdrun.sweep.parallel_jobs import choose_launcher, faults_of_jobs

if TYPE_CHECKING:
    from kdrun.run.plan import Plan


def launch(words: Sequence[str], screen: Screen) -> int:
    """Check every run of the command, then run them, and return the exit status.

    Args:
        words: the words after `kdrun`.
        screen: where messages are printed.

    Raises:
        ConfigError: the settings have faults, all of which it contains; nothing was written.
    """
    command = read_command(words)
    words = [*words, *implied_settings(command)]
    command = read_command(words)
    plugin_faults = install_named_plugins(command.settings, command.folders)
    command = translate_settings(command)
    if command.shows_only:
        if plugin_faults:
            raise ConfigError(plugin_faults)
        return _show_config(command, screen)
    if command.multirun:
        return _launch_sweep(command, words, screen)
    (run,) = compose_runs(command.settings, False, command.folders)
    (plan,) = check_jobs([run], 1)
    if run.tree["check"]:
        return _report_plans([plan], screen)
    folder = shown(new_folder(run, multirun=False))
    command_line = shlex.join(["kdrun", *words])
    return _run_one(plan, take(FolderLock(folder)), run.config, screen, command_line)


def _launch_sweep(command: Command, words: Sequence[str], screen: Screen) -> int:
    """Check the jobs of a sweep, then run them, and return the exit status."""
    jobs = compose_sweep(command.settings, command.folders, screen.say)
    first = jobs.full[0]
    choice = choose_launcher(first.parallel_jobs, first.launcher, len(jobs.settings))
    plans = check_jobs(jobs.full, choice.parallel, jobs.similar)
    if first.tree["check"]:
        return _report_plans(plans, screen)
    from kdrun.sweep.runner import run_sweep  # slow: imports the HTML report

    measures = first.parallel_jobs == "auto" and plans[0].hardware.device.type == "cuda"
    plans.clear()  # frees their data: the jobs load their own
    sweep = SweepFolder(shown(new_folder(first, multirun=True)))
    lock = take(sweep.lock())
    sweep.write(
        command=shlex.join(["kdrun", *words]),
        words=list(words),
        launcher=choice.overrides,
        at_once=choice.parallel,
        measures=measures,
        path=str(sweep.path.resolve()),
        working_folder=str(Path.cwd()),
        jobs=name_jobs(jobs.settings),
    )
    return run_sweep(sweep, command, screen, lock)


def check_jobs(
    jobs: Sequence[ComposedRun], parallel: int, similar: Iterable[Mapping[str, Any]] = ()
) -> "list[Plan]":
    """Check jobs and return their plans.

    Args:
        jobs: runs of the command.
        parallel: how many jobs run on this machine at the same time.
        similar: configs of further jobs, of which the settings alone are checked.

    Raises:
        ConfigError: jobs have faults, all of which it contains.
    """
    from kdrun.check.preflight import check, settings_faults

    plans: list[Plan] = []
    faults = faults_of_folder(jobs[0])
    faults += faults_of_jobs(jobs[0].parallel_jobs, jobs[0].launcher)
    for job in jobs:
        faults += job.faults
        try:
            plans.append(check(job.tree, parallel, job.unknown_groups))
        except ConfigError as error:
            faults += error.faults
    for tree in similar:
        faults += settings_faults(tree)
    if faults:
        raise ConfigError(faults)
    return plans


def _report_plans(plans: "Sequence[Plan]", screen: Screen) -> int:
    from kdrun.cli.plan import report_plan

    for plan in plans:
        report_plan(plan, screen)
    return 0


def _show_config(command: Command, screen: Screen) -> int:
    """Show a config after checking its names and keys, but not its values.

    kdrun prints the config of a run. Hydra prints everything else: its own config, its defaults
    list, completions of the shell.
    """
    if command.shows_config:
        (run,) = compose_runs(command.settings, False, command.folders)
        if run.faults:
            raise ConfigError(run.faults)
        if command.cfg == "job":
            screen.say(to_yaml(run.config, command.package, command.resolve))
            return 0
    else:
        register_models(command.folders)
        register_steps(command.folders)
    sys.argv[1:] = [*command.options, *command.settings]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises errors instead of printing them
    hydra_main = hydra.main(
        version_base="1.3", config_path=str(conf_folder()), config_name="config"
    )
    hydra_main(lambda _: None)()
    return 0


def _run_one(
    plan: "Plan",
    lock: FolderLock,
    config: DictConfig,
    screen: Screen,
    command_line: str,
) -> int:
    """Run a checked plan as a job of Hydra, which writes `.hydra/`; return the exit status.

    Args:
        plan: plan of the run.
        lock: the lock of the run's folder.
        config: the config that Hydra composed for the check. Composing it again would take as long
            as everything else before a small run starts to train.
        screen: where messages are printed.
        command_line: the command as the user typed it.
    """
    from kdrun.run.runner import run

    folder, statuses = lock.folder, list[int]()
    for path in (folder / ".hydra", *folder.glob(".hydra/*")):  # Hydra would follow links
        refuse_link(path)

    def task(_: DictConfig) -> None:
        try:
            run(plan, folder, screen, command_line, lock)
            statuses.append(0)
        except Exception as error:  # noqa: BLE001 - Hydra would print its own trace
            statuses.append(report(error, screen, plan.config.debug))

    with read_write(config.hydra):
        config.hydra.mode = RunMode.RUN
        config.hydra.run.dir = str(folder)
        config.hydra.overrides.hydra.append(f"hydra.run.dir={quote(str(folder))}")
    context = HydraContext(config_loader=make_loader(), callbacks=Callbacks())
    run_job(task, config, "hydra.run.dir", None, context)
    return statuses[0]
