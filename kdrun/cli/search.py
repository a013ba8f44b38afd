"""`kdrun search`: tries settings from ranges, and finds those with the best validation score."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override, ValueType

from kdrun.cli.launch import check_jobs
from kdrun.config.command import Command, read_command
from kdrun.config.compose import ComposedRun, compose_runs
from kdrun.config.loader import install_named_plugins
from kdrun.config.overrides import implied_settings, parse_settings, translate_settings, typed_value
from kdrun.core.errors import ConfigError, UserError
from kdrun.core.screen import Screen
from kdrun.core.sweep import SweepFolder
from kdrun.run.new_folder import new_folder, shown, take
from kdrun.sweep.job_list import override_key, run_overrides
from kdrun.sweep.parallel_jobs import choose_launcher
from kdrun.sweep.runner import run_sweep
from kdrun.sweep.search_space import faults_of_ranges, range_values
from kdrun.sweep.trials import Search


def search(words: Sequence[str], screen: Screen) -> int:
    """Run `kdrun search [KEY=RANGE...] [KEY=VALUE...]` and return the exit status.

    Raises:
        UserError: optuna is not installed, there is nothing to search, or a setting or a range is
            invalid.
    """
    if find_spec("optuna") is None:
        raise UserError("a search needs an extra: pip install 'kdrun[search]'")
    command = read_command(["--multirun", *words])
    words = [*words, *implied_settings(command)]
    command = read_command(["--multirun", *words])
    if command.shows_only:
        raise UserError("a search shows no config.", "  the config of a run: kdrun --cfg job")
    install_named_plugins(command.settings, command.folders)
    command = translate_settings(command)
    searched = {
        override_key(o): o for o in parse_settings(command.settings) if o.is_sweep_override()
    }
    _refuse_invalid_ranges(searched)
    fixed = [word for word in command.settings if word not in _as_text(searched.values())]
    (base,) = compose_runs(fixed, True, command.folders)
    typed_ranges = {key: typed_value(o) for key, o in searched.items()}
    ranges = typed_ranges or _default_ranges(base.tree)
    plan = Search(
        ranges=ranges,
        words=[
            *_as_text(run_overrides(fixed)),
            *_keep_teacher_recipe(base.tree, ranges),
            *_without_controls(fixed),
        ],
        trials=base.tree["search"]["trials"],
        prune=base.tree["search"]["prune"],
        seed=base.tree["seed"],
    )
    return _run(plan, base, command, shlex.join(["kdrun", "search", *words]), screen)


def _run(
    plan: Search, base: ComposedRun, command: Command, command_line: str, screen: Screen
) -> int:
    """Check the base config and both ends of each range, then run the trials."""
    faults = faults_of_ranges(plan.ranges)
    if faults:
        raise ConfigError(faults)
    parallel_setting = base.parallel_jobs
    launcher, parallel = choose_launcher(parallel_setting, base.launcher, plan.trials)
    extremes = [
        compose_runs([*plan.words, f"{key}={value}"], True, command.folders)[0]
        for key, range_text in plan.ranges.items()
        for value in range_values(range_text)
    ]
    plans = check_jobs([base, *extremes], parallel)
    for key, range_text in plan.ranges.items():
        screen.say(f"searched: {key}={range_text}")
    if base.tree["check"]:
        return 0
    measures = parallel_setting == "auto" and plans[0].hardware.device.type == "cuda"
    plans.clear()  # frees their data: the trials load their own
    sweep = SweepFolder(shown(new_folder(base, True)))
    lock = take(sweep.lock())
    sweep.write(
        command=command_line,
        words=["--multirun", *command.options, *command.settings],
        launcher=launcher,
        at_once=parallel,
        measures=measures,
        path=str(sweep.path.resolve()),
        working_folder=str(Path.cwd()),
        search=asdict(plan),
        jobs=[],
    )
    return run_sweep(sweep, command, screen, lock)


def _refuse_invalid_ranges(searched: Mapping[str, Override]) -> None:
    """Raise a UserError for a key that can't be searched, or a pattern instead of a range."""
    if "seed" in searched:
        raise UserError(
            "seed: the best of several seeds is luck, not a setting.",
            "  search with one seed, then run the best trial with others: kdrun -m ... seed=1,2,3",
        )
    for key, override in searched.items():
        if override.value_type is ValueType.GLOB_CHOICE_SWEEP:
            raise UserError(f"{key}: a search takes names, not patterns: {key}=choice(a,b)")


def _default_ranges(tree: Mapping[str, Any]) -> dict[str, str]:
    """Return the ranges of the config whose keys exist, and a range of the learning rate.

    Raises:
        UserError: there is no range.
    """
    ranges = {
        key: range_text
        for key, range_text in tree["search"]["ranges"].items()
        if _value(tree, key) is not None
    }
    rate, factor = tree["recipe"]["lr"], tree["search"]["lr_factor"]
    if factor > 1:
        ranges["recipe.lr"] = f"tag(log, interval({rate / factor:.4g}, {rate * factor:.4g}))"
    if not ranges:
        raise UserError(
            f"there is nothing to search: loss {tree['loss']['name']!r} has none of"
            f" {', '.join(tree['search']['ranges'])}.",
            "  give a range: kdrun search 'loss.weight=interval(0.1,10)'",
        )
    return ranges


def _keep_teacher_recipe(tree: Mapping[str, Any], ranges: Mapping[str, str]) -> list[str]:
    """Return overrides that keep the teacher's recipe constant while the student's is searched."""
    teacher_recipe = tree["teacher"]["recipe"] or {}
    keys = [key.removeprefix("recipe.") for key in ranges if key.startswith("recipe.")]
    return [
        f"++teacher.recipe.{key}={tree['recipe'][key]}"
        for key in keys
        if key not in teacher_recipe and not isinstance(tree["recipe"].get(key, {}), dict | list)
    ]


def _without_controls(overrides: Sequence[str]) -> list[str]:
    """Return an override that skips the control runs, unless the user has set `controls`.

    Trials are compared with each other; the control (the student without distillation) is trained
    only when the best trial is run again.
    """
    return [] if any(word.startswith("controls=") for word in overrides) else ["controls=[]"]


def _value(tree: Mapping[str, Any], key: str) -> Any:
    """Return the value of a dotted key; None if the key does not exist."""
    node: Any = tree
    for name in key.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _as_text(overrides: Iterable[Override]) -> list[str]:
    return [str(override.input_line) for override in overrides]
