"""The words after `kdrun`, held against conf/ before Hydra sees them.

Hydra's own complaints about an unknown choice or key show search paths and no nearest name.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from hydra import compose
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kdrun.config.choices import offer_step_list
from kdrun.config.command import Command
from kdrun.config.compose import composing, quoted
from kdrun.config.files import foreign_code
from kdrun.config.inner_nodes import complete_inner_nodes
from kdrun.config.suggestions import options_of, unknown_choice, unknown_key
from kdrun.core.config import plain
from kdrun.core.errors import Fault, UserError

T = TypeVar("T")
_LIST = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Job:
    """One run that the words ask for.

    Attributes:
        words: those of this run, without sweeps.
        tree: the resolved config; faulty words are left out of it.
        faults: unknown names and keys.
        unknown: the groups whose choice is unknown, so that the default stands in the tree.
        folder: of the run or sweep, where the words name one.
        launcher: Hydra's node of what starts jobs.
    """

    words: tuple[str, ...]
    tree: dict[str, Any]
    faults: tuple[Fault, ...]
    unknown: frozenset[str]
    folder: str | None
    launcher: dict[str, Any]


def with_choices(command: Command) -> Command:
    """The same in words that Hydra understands.

    `compress=[a,b]` becomes the name of a choice that these steps in a row are made, and a path
    that holds `=`, as those of a sweep's jobs do, a quoted text.

    Raises:
        UserError: a step is not known.
    """
    settings = (_understood(word, command.folders) for word in command.settings)
    return replace(command, settings=tuple(settings))


def _understood(word: str, folders: Sequence[str]) -> str:
    key, _, value = word.partition("=")
    if "=" in value and Path(value).exists():
        return f"{key}={quoted(value)}"
    if key != "compress":
        return word

    def name(found: re.Match[str]) -> str:
        steps = [step.strip(" '\"") for step in found[1].split(",") if step.strip()]
        return offer_step_list(steps, folders) if steps else "none"

    return f"{key}={_LIST.sub(name, value)}"


def read_jobs(words: Sequence[str], multirun: bool, folders: Sequence[str] = ()) -> list[Job]:
    """The resolved config of every run that the words ask for.

    Args:
        words: Hydra overrides.
        multirun: whether several values mean several runs.
        folders: more folders with groups, from `--config-dir`.

    Raises:
        UserError: the words are no settings at all, or the config can't be composed.
    """
    parsed = parse(words)
    with composing(folders) as loader:
        _check_sweeps(parsed, multirun)
        jobs = _expand(words, loader) if multirun else [tuple(words)]
        return [_read_job(job, "sweep" if multirun else "run", loader) for job in jobs]


def parse(words: Sequence[str]) -> list[Override]:
    """Hydra's reading of settings.

    Raises:
        UserError: one is no setting.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(words))
    except OverrideParseException as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{error.override!r} is no setting: {reason}",
            "  write key=value, e.g. loss.temperature=4; lists as [a,b]; kdrun --help",
        ) from error
    nameless = [one.input_line for one in parsed if not one.key_or_group]
    if nameless:
        raise UserError(f"{nameless[0]!r} is no setting: it names no key.")
    return parsed


def _check_sweeps(parsed: Sequence[Override], multirun: bool) -> None:
    several = [str(one.input_line) for one in parsed if one.is_sweep_override()]
    ranges = [str(one.input_line) for one in parsed if one.is_interval_sweep()]
    if ranges:
        raise UserError(
            f"{ranges[0]!r} is a range, which has no end of values.",
            f"  to search it: kdrun search {shlex.join(ranges)}",
        )
    if several and not multirun:
        raise UserError(
            f"{several[0]!r} holds several values.",
            f"  to run each of them: kdrun -m {' '.join(several)}",
        )


def _read_job(words: tuple[str, ...], kind: str, loader: ConfigLoaderImpl) -> Job:
    """Compose one run's config without the words that are faulty, and say which these are."""
    faults: list[Fault] = []
    choices: list[Override] = []
    settings: list[Override] = []
    unknown: set[str] = set()
    parsed = parse(words)
    for override in parsed:
        group = str(override.key_or_group).partition("@")[0]
        options = options_of(loader.repository, group)
        fault = unknown_choice(group, override, options)
        if fault is not None:
            faults.append(fault)
            unknown.add(group)
        else:
            (choices if options else settings).append(override)
    # The key of a choice that could not be found may belong to it.
    settings = [one for one in settings if not _belongs(one, unknown)]
    try:
        config = _compose([*choices, *settings])
    except UserError:
        base = _compose(choices)
        found = {id(one): unknown_key(base, one) for one in settings}
        faults += [fault for fault in found.values() if fault is not None]
        settings = [one for one in settings if found[id(one)] is None]
        config = _compose([*choices, *settings])
    faults += [*foreign_code(config.hydra), *_own_sweeps(config)]
    _run_hydra(lambda: complete_inner_nodes(config, loader))
    key = f"hydra.{kind}.dir"
    named = any(one.key_or_group == key for one in parsed)
    folder = _resolve(lambda: str(OmegaConf.select(config, key))) if named else None
    tree = _tree(config)
    launcher = _resolve(lambda: OmegaConf.to_container(config.hydra.launcher, resolve=True))
    return Job(words, tree, tuple(faults), frozenset(unknown), folder, launcher)


def _own_sweeps(config: DictConfig) -> list[Fault]:
    """What Hydra's sweepers would do and kdrun does itself."""
    sweeper, told = config.hydra.sweeper, "kdrun sweeps and searches itself; "
    if not str(sweeper._target_).endswith(".BasicSweeper"):
        return [Fault("hydra/sweeper", f"{told}for a search: kdrun search")]
    if sweeper.get("params"):
        return [
            Fault("hydra.sweeper.params", f"{told}values go on the command line: kdrun -m k=1,2")
        ]
    return []


def _belongs(override: Override, groups: Iterable[str]) -> bool:
    """Whether a key is below one of the groups."""
    key = str(override.key_or_group)
    return any(f"{key}.".startswith(f"{group.replace('/', '.')}.") for group in groups)


def _expand(words: Sequence[str], loader: ConfigLoaderImpl) -> list[tuple[str, ...]]:
    """Every combination that Hydra's basic sweeper would run."""
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(words))
    batches = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    return [tuple(job) for batch in batches for job in batch]


def _compose(overrides: Sequence[Override]) -> DictConfig:
    words = [str(one.input_line) for one in overrides]
    return _run_hydra(lambda: compose("config", overrides=words, return_hydra_config=True))


def _run_hydra(read: Callable[[], T]) -> T:
    """What `read` returns; an error of Hydra as a sentence without its search path."""
    try:
        return read()
    except (HydraException, OmegaConfBaseException) as error:
        told = str(error).partition("Config search path:")[0]
        lines = [line.strip() for line in told.splitlines() if line.strip()]
        raise UserError(lines[0], *(f"  {line}" for line in lines[1:3])) from error


def _tree(config: DictConfig) -> dict[str, Any]:
    """The config without Hydra's own node, as plain dicts and lists."""
    HydraConfig.instance().set_config(config)  # for values that refer to it
    own = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    tree = _resolve(lambda: OmegaConf.to_container(own, resolve=True, throw_on_missing=False))
    return plain(tree)


def _resolve(find: Callable[[], Any]) -> Any:
    try:
        return find()
    except OmegaConfBaseException as error:
        raise UserError(f"the config can't be resolved: {str(error).splitlines()[0]}") from error
