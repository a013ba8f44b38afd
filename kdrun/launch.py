"""Runs and sweeps: the words are checked, then Hydra writes its folder and calls the job."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from kdrun.choices import conf_folder, offer_models, offer_plugins, offer_steps
from kdrun.command import Command, read_command
from kdrun.compare.report.write import write_sweep_report
from kdrun.compare.runs import run_lines
from kdrun.core.config import slug_of
from kdrun.core.cores import cores
from kdrun.core.errors import ConfigError, Fault, UserError
from kdrun.core.folder import find_runs
from kdrun.core.plugins import install_plugins
from kdrun.core.screen import Screen, report
from kdrun.words import Job, read_jobs, with_listed_steps

if TYPE_CHECKING:
    from kdrun.runner import Plan


def launch(words: Sequence[str], screen: Screen) -> int:
    """Check every run that the words ask for, then run them; the exit status.

    Raises:
        ConfigError: something is wrong; nothing was written.
    """
    command = with_listed_steps(read_command(words))
    broken = _plugins(command.settings)
    if command.looks:
        if broken:
            raise ConfigError(broken)
        return _look(command)
    jobs = read_jobs(command.settings, command.multirun, command.folders)
    plans = _check(jobs, _parallel(command.settings))
    first = jobs[0]
    if first.tree["check"]:
        from kdrun.plan_report import report_plan

        for plan in plans:
            report_plan(plan, screen)
        return 0
    folder, pinned = _folder(first, command.multirun)
    told = shlex.join(["kdrun", *words])
    sys.argv[1:] = [*command.options, *command.settings, *pinned]
    if command.multirun:
        return _run_sweep(len(jobs), folder, screen)
    return _run_one(plans[0], folder, screen, told)


def _look(command: Command) -> int:
    """Hydra's own ways of looking at a config; the words are checked, what they mean is not."""
    if command.composes:
        faults = read_jobs(command.settings, command.multirun, command.folders)[0].faults
        if faults:
            raise ConfigError(faults)
    else:
        offer_models(command.folders)
        offer_steps()
    sys.argv[1:] = [*command.options, *command.settings]
    _start_hydra(run_job)
    return 0


def _start_hydra(job: Callable[[DictConfig], None]) -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us, rather than to the screen
    start = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")
    start(job)()


def _run_sweep(jobs: int, folder: Path, screen: Screen) -> int:
    """Run every job, then say what became of each; the exit status."""
    status = 0
    try:
        _start_hydra(run_job)
    except SystemExit as end:
        status = int(end.code or 0)
    except KeyboardInterrupt:
        status = 130
    except Exception as error:  # noqa: BLE001 - whatever a launcher raises when a worker dies
        screen.fail(f"the launcher gave up: {type(error).__name__}: {str(error).splitlines()[0]}")
        status = 1
    ended = [run.status for run in find_runs(folder)]
    if ended:
        write_sweep_report(_shown(folder), screen)
    finished = ended.count("finished")
    screen.say(f"sweep in {_shown(folder)}: {finished} of {jobs} jobs finished")
    for line in run_lines(_shown(folder)):
        screen.say(f"  {line}")
    return status or int(finished < jobs)


def _run_one(plan: "Plan", folder: Path, screen: Screen, command: str) -> int:
    """Run what was checked, in the folder that Hydra writes its own files to; the exit status."""
    from kdrun.runner import run

    statuses: list[int] = []

    def job(_: DictConfig) -> None:
        try:
            run(plan, _shown(folder), screen, command)
            statuses.append(0)
        except Exception as error:  # noqa: BLE001 - Hydra would print its own trace
            statuses.append(report(error, screen, plan.config.debug))

    _start_hydra(job)
    return statuses[0]


def run_job(config: DictConfig) -> None:
    """One job of a sweep, in this process or in a launcher's worker, which finds it by its name.

    A failed job is recorded in its folder and reported there, and the others go on.
    """
    from kdrun.preflight import check
    from kdrun.runner import run

    tree = OmegaConf.to_container(config, resolve=True)
    assert isinstance(tree, dict)
    screen = Screen()
    try:
        plan = check({str(key): value for key, value in tree.items() if key != "hydra"}, _workers())
        settings = HydraConfig.get()
        command = shlex.join(["kdrun", *settings.overrides.task])
        run(plan, _shown(Path(settings.runtime.output_dir)), screen, command)
    except Exception as error:  # noqa: BLE001 - Hydra would print its own trace
        status = report(error, screen, bool(tree["debug"]))
        if status >= 128:
            raise SystemExit(status) from None


def _check(jobs: Sequence[Job], parallel: int) -> "list[Plan]":
    """The plan of every job; all faults of all jobs together."""
    from kdrun.preflight import check

    plans: list[Plan] = []
    faults = _faults_of_folder(jobs[0].folder) if jobs[0].folder is not None else []
    for job in jobs:
        faults += job.faults
        try:
            plans.append(check(job.tree, parallel, job.unknown))
        except ConfigError as error:
            faults += error.faults
    if faults:
        raise ConfigError(faults)
    return plans


def _folder(job: Job, multirun: bool) -> tuple[Path, list[str]]:
    """A new folder for the run or sweep, and the word that tells Hydra of it.

    Hydra's own clock-made names collide when two runs start in the same second.
    """
    if job.folder is not None:
        return Path(job.folder), []
    tree = job.tree
    now = datetime.now()
    root = Path(tree["output_root"])
    if multirun:
        base = root / "sweeps" / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}"
    else:
        parts = [tree[part]["name"] for part in ("teacher", "student", "loss", "scheme")]
        slug = tree["name"] or slug_of(parts, tree["compress"]["steps"])
        base = root / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S}-{slug}"
    path = _reserve(base)
    return path, [f"hydra.{'sweep' if multirun else 'run'}.dir={_quoted(path)}"]


def _shown(path: Path) -> Path:
    """As the user would write it: relative where it is below the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _reserve(base: Path) -> Path:
    """Make a folder that was not there before."""
    for number in range(1, 1000):
        path = base if number == 1 else base.with_name(f"{base.name}-{number}")
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(
                f"output_root: {str(path)!r} can't be made: {error.strerror}.",
                "  choose another folder: output_root=FOLDER",
            ) from error
        return path
    raise UserError(f"{str(base)!r} is taken a thousand times.")


def _faults_of_folder(folder: str) -> list[Fault]:
    """What is wrong with a folder that the words name for a run or a sweep."""
    from kdrun.checks import writable

    if find_runs(Path(folder)):
        mend = f"go on with it: kdrun resume {folder}"
        return [Fault("", f"{folder!r} holds a run already.\n  {mend}, or name another folder")]
    return writable("hydra.run.dir", folder)


def _quoted(path: Path) -> str:
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _plugins(words: Sequence[str]) -> list[Fault]:
    """Install the plugins that the words name, before names are looked up, and offer their parts.

    Those that are faulty are found again, among all other faults, when the config is checked.
    """
    given = [word.partition("=")[2] for word in words if word.startswith("plugins=")]
    names = given[-1].strip("[]").split(",") if given else []
    try:
        if install_plugins(name.strip(" '\"") for name in names if name.strip()):
            offer_plugins()
    except ConfigError as error:
        return list(error.faults)
    return []


def _parallel(words: Sequence[str]) -> int:
    """How many jobs the words let run at the same time."""
    given = [word.partition("=")[2] for word in words if word.startswith("hydra.launcher.n_jobs=")]
    return _at_once(given[-1]) if given else 1


def _workers() -> int:
    """How many jobs this machine runs at the same time, in a job of a sweep."""
    return _at_once(HydraConfig.get().launcher.get("n_jobs", 1))


def _at_once(jobs: Any) -> int:
    """A launcher's number of jobs; joblib counts negative ones down from all cores."""
    try:
        number = int(jobs)
    except (TypeError, ValueError):
        return 1
    return number if number > 0 else max(1, cores() + 1 + number)
