"""`kdrun search`: settings that are good on validation, found by trials."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override, ValueType

from kdrun.config.command import Command, read_command
from kdrun.config.compose import ComposedRun, compose_runs
from kdrun.config.loader import install_named_plugins
from kdrun.config.overrides import parse_settings, translate_settings
from kdrun.core.errors import ConfigError, UserError
from kdrun.core.screen import Screen
from kdrun.core.sweep import SweepFolder
from kdrun.run.new_folder import new_folder, shown
from kdrun.sweep.job_list import check_jobs, own_words
from kdrun.sweep.parallel_jobs import choose
from kdrun.sweep.runner import run_sweep
from kdrun.sweep.trials import Search, ends, faults_of_ranges


def search(words: Sequence[str], screen: Screen) -> int:
    """`kdrun search KEY=RANGE ... SETTINGS`: the exit status.

    Raises:
        UserError: optuna is not installed, there is nothing to search, or something is wrong with
            a setting or with an end of a range.
    """
    if find_spec("optuna") is None:
        raise UserError("a search needs an extra: pip install 'kdrun[search]'")
    command = read_command(["--multirun", *words])
    if command.shows_only:
        raise UserError("a search shows no config.", "  of a run: kdrun --cfg job")
    install_named_plugins(command.settings, command.folders)
    command = translate_settings(command)
    own = {_key(one): one for one in parse_settings(command.settings) if one.is_sweep_override()}
    _refuse(own)
    fixed = [word for word in command.settings if word not in _typed(own.values())]
    (base,) = compose_runs(fixed, True, command.folders)
    given = {key: str(one.input_line).partition("=")[2] for key, one in own.items()}
    ranges = given or _ready(base.tree)
    found = Search(
        ranges=ranges,
        words=[*_typed(own_words(fixed)), *_pinned(base.tree, ranges), *_controls(fixed)],
        trials=base.tree["search"]["trials"],
        prune=base.tree["search"]["prune"],
        seed=base.tree["seed"],
    )
    return _run(found, base, command, shlex.join(["kdrun", "search", *words]), screen)


def _run(found: Search, base: ComposedRun, command: Command, told: str, screen: Screen) -> int:
    faults = faults_of_ranges(found.ranges)
    if faults:
        raise ConfigError(faults)
    asked = base.tree["launcher"]["jobs"]
    launcher, parallel = choose(asked, base.launcher, found.trials)
    ends_of_all = [
        compose_runs([*found.words, f"{key}={end}"], True, command.folders)[0]
        for key, word in found.ranges.items()
        for end in ends(word)
    ]
    plans = check_jobs([base, *ends_of_all], parallel)
    for key, word in found.ranges.items():
        screen.say(f"searched: {key}={word}")
    if base.tree["check"]:
        return 0
    measures = asked == "auto" and plans[0].hardware.device.type == "cuda"
    plans.clear()  # the data that they hold would be there beside the trials' own
    sweep = SweepFolder(shown(new_folder(base, True)))
    sweep.write(
        command=told,
        words=["--multirun", *command.options, *command.settings],
        launcher=launcher,
        at_once=parallel,
        measures=measures,
        path=str(sweep.path.resolve()),
        working_folder=str(Path.cwd()),
        search=asdict(found),
        jobs=[],
    )
    return run_sweep(sweep, command, screen)


def _refuse(own: Mapping[str, Override]) -> None:
    """What can't be searched."""
    if "seed" in own:
        raise UserError(
            "seed: the best of several seeds is luck, no setting.",
            "  search with one seed, then run what was found with others: kdrun -m ... seed=1,2,3",
        )
    for key, word in own.items():
        if word.value_type is ValueType.GLOB_CHOICE_SWEEP:
            raise UserError(f"{key}: a search takes names, not patterns: {key}=choice(a,b)")


def _ready(tree: Mapping[str, Any]) -> dict[str, str]:
    """What is searched where the words say nothing: the config's ranges of keys that there are.

    Raises:
        UserError: there is none.
    """
    there = {
        key: word for key, word in tree["search"]["ranges"].items() if _value(tree, key) is not None
    }
    rate, factor = tree["recipe"]["lr"], tree["search"]["lr_factor"]
    if factor > 1:
        there["recipe.lr"] = f"tag(log, interval({rate / factor:.4g}, {rate * factor:.4g}))"
    if not there:
        raise UserError(
            f"nothing is there to search: loss {tree['loss']['name']!r} has none of"
            f" {', '.join(tree['search']['ranges'])}.",
            "  give a range: kdrun search 'loss.weight=interval(0.1,10)'",
        )
    return there


def _pinned(tree: Mapping[str, Any], ranges: Mapping[str, str]) -> list[str]:
    """Words that leave the teacher its recipe while the student's is searched."""
    own = tree["teacher"]["recipe"] or {}
    keys = [key.removeprefix("recipe.") for key in ranges if key.startswith("recipe.")]
    return [
        f"++teacher.recipe.{key}={tree['recipe'][key]}"
        for key in keys
        if key not in own and not isinstance(tree["recipe"].get(key, {}), dict | list)
    ]


def _controls(words: Sequence[str]) -> list[str]:
    """A trial is held against other trials; the winner alone needs the student alone."""
    return [] if any(word.startswith("controls=") for word in words) else ["controls=[]"]


def _value(tree: Mapping[str, Any], key: str) -> Any:
    """What stands at a dotted key; None where nothing does."""
    node: Any = tree
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _key(word: Override) -> str:
    return str(word.key_or_group)


def _typed(words: Iterable[Override]) -> list[str]:
    return [str(one.input_line) for one in words]
