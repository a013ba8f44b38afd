"""The words after `kdrun`, held against conf/ before Hydra sees them.

Hydra's own complaints about an unknown choice or key show search paths and no nearest name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kdrun.choices import ROLES, conf_folder, offer_by_name, offer_models
from kdrun.core.errors import Fault, UserError, nearest

_LISTED = {
    "teacher": "models",
    "student": "models",
    "dataset": "datasets",
    "loss": "losses",
    "recipe": "recipes",
    "compress": "compress",
}


@dataclass(frozen=True)
class Job:
    """One run that the words ask for.

    Attributes:
        words: those of this run, without sweeps.
        tree: the resolved config; faulty words are left out of it.
        faults: unknown names and keys.
        unknown: the groups whose choice is unknown, so that the default stands in the tree.
    """

    words: tuple[str, ...]
    tree: dict[str, Any]
    faults: tuple[Fault, ...]
    unknown: frozenset[str]


def read_jobs(words: Sequence[str], multirun: bool, folders: Sequence[str] = ()) -> list[Job]:
    """The resolved config of every run that the words ask for.

    Args:
        words: Hydra overrides.
        multirun: whether several values mean several runs.
        folders: more folders with groups, from `--config-dir`.

    Raises:
        UserError: the words are no settings at all, or the config can't be composed.
    """
    offer_models()
    parsed = _parse(words)
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        search = [f"hydra.searchpath=[{','.join(folders)}]"] if folders else []
        _check_sweeps(parsed, multirun)
        jobs = _expand(words) if multirun else [tuple(words)]
        return [_read_job(job, search) for job in jobs]


def _parse(words: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides(list(words))
    except OverrideParseException as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{error.override!r} is no setting: {reason}",
            "  write key=value, e.g. loss.temperature=4; lists as [a,b]; kdrun --help",
        ) from error


def _check_sweeps(parsed: Sequence[Override], multirun: bool) -> None:
    several = [str(one.input_line) for one in parsed if one.is_sweep_override()]
    if several and not multirun:
        raise UserError(
            f"{several[0]!r} holds several values.",
            f"  to run each of them: kdrun -m {' '.join(several)}",
        )


def _read_job(words: tuple[str, ...], search: list[str]) -> Job:
    """Compose one run's config without the words that are faulty, and say which these are."""
    loader = GlobalHydra.instance().config_loader()
    assert loader is not None
    faults: list[Fault] = []
    choices: list[Override] = []
    settings: list[Override] = []
    unknown: set[str] = set()
    for override in _parse(words):
        group = str(override.key_or_group).partition("@")[0]
        options = _options(loader, group)
        fault = _unknown_choice(group, override, options, search)
        if fault is not None:
            faults.append(fault)
            unknown.add(group)
        else:
            (choices if options else settings).append(override)
    # The key of a choice that could not be found may belong to it.
    settings = [one for one in settings if _root(one) not in unknown]
    try:
        config = _compose(search, [*choices, *settings])
    except UserError:
        base = _compose(search, choices)
        found = {id(one): _unknown_key(base, one) for one in settings}
        faults += [fault for fault in found.values() if fault is not None]
        settings = [one for one in settings if found[id(one)] is None]
        config = _compose(search, [*choices, *settings])
    return Job(words, _resolve(config), tuple(faults), frozenset(unknown))


def _root(override: Override) -> str:
    return str(override.key_or_group).partition(".")[0]


def _options(loader: ConfigLoader, group: str) -> list[str]:
    """The choices of a group: its files, or those of its folders where it has no files."""
    files = [name for name in loader.get_group_options(group) if not name.startswith("_")]
    folders = [] if files else loader.get_group_options(group, ObjectType.GROUP)
    return files + [
        f"{folder}/{name}" for folder in folders for name in _options(loader, f"{group}/{folder}")
    ]


def _unknown_choice(
    group: str, override: Override, options: list[str], search: list[str]
) -> Fault | None:
    name = override.value()
    if not options or override.is_delete() or not isinstance(name, str) or name in options:
        return None
    if group in ROLES and offer_by_name(group, name):
        return None
    return _unknown(group, name, options, search)


def _unknown(group: str, name: str, options: list[str], search: list[str]) -> Fault | None:
    if search:
        return None  # the user's own folders may have it; Hydra says when not
    known = import_module("kdrun.model").names() if group in ROLES else options
    close = nearest(name, known)
    hints = [f"nearest: {close}" if close else f"there is {', '.join(options[:12])}"]
    if group in _LISTED:
        hints.append(f"all: kdrun list {_LISTED[group]}")
    return Fault("", f"no {group} is called {name!r}.\n  {'        '.join(hints)}")


def _expand(words: Sequence[str]) -> list[tuple[str, ...]]:
    """Every combination that Hydra's basic sweeper would run."""
    batches = BasicSweeper.split_arguments(_parse(words), max_batch_size=None)
    return [tuple(job) for batch in batches for job in batch]


def _compose(search: list[str], overrides: Sequence[Override]) -> DictConfig:
    try:
        return compose("config", overrides=search + [str(one.input_line) for one in overrides])
    except (HydraException, OmegaConfBaseException) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(lines[0], *lines[1:3]) from error


def _resolve(config: DictConfig) -> dict[str, Any]:
    try:
        tree = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    except OmegaConfBaseException as error:
        raise UserError(f"the config can't be resolved: {str(error).splitlines()[0]}") from error
    assert isinstance(tree, dict)
    return {str(key): value for key, value in tree.items() if key != "hydra"}


def _unknown_key(base: DictConfig, override: Override) -> Fault | None:
    """A key that is nowhere in the config, with the nearest of its siblings."""
    key = str(override.key_or_group)
    plain = not (override.is_add() or override.is_force_add() or override.is_delete())
    if not plain or key.startswith(("hydra.", "hydra/")):
        return None
    node: Any = base
    names = key.split("/")[0].split(".") if "/" not in key else []
    for depth, name in enumerate(names):
        if not isinstance(node, DictConfig):
            return _no_mapping(".".join(names[:depth]), ".".join(names[depth:]), override)
        if name not in node.keys():  # noqa: SIM118 - `in` denies keys whose value is ???
            siblings = [str(sibling) for sibling in node]
            owner = repr(node.get("name") or names[depth - 1]) if depth else "the config"
            close = nearest(name, siblings)
            hint = f"nearest: {close}" if close else f"its keys: {', '.join(siblings)}"
            return Fault(key, f"unknown key of {owner}; {hint}")
        node = node._get_node(name)
        if isinstance(node, DictConfig) and node._is_none():
            return None
    return None


def _no_mapping(parent: str, rest: str, override: Override) -> Fault:
    value = str(override.input_line).partition("=")[2]
    return Fault(
        f"{parent}.{rest}",
        f"{parent} holds no keys yet; give it as a whole: '{parent}={{{rest}: {value}}}'",
    )
