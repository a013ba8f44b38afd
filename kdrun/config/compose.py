"""Composes the resolved config of each run from the settings of a command.

Unknown choices and keys are reported before Hydra composes: Hydra's messages show search paths, but
suggest no similar name.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hydra import compose
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kdrun.config.foreign_code import foreign_code, untyped_launcher
from kdrun.config.inner_nodes import complete_inner_nodes
from kdrun.config.loader import hydra_loader
from kdrun.config.overrides import expand_sweep, parse_settings, refuse_sweeps
from kdrun.config.suggestions import options_of, unknown_choice, unknown_key
from kdrun.core.config import plain_tree
from kdrun.core.errors import Fault, UserError, first_line

T = TypeVar("T")


@dataclass(frozen=True)
class ComposedRun:
    """The config of one run, and the faults of its settings.

    Attributes:
        settings: `key=value` strings of this run; in a sweep, those of one combination.
        tree: the resolved config as dicts and lists, composed without faulty settings.
        faults: faults for unknown choices and keys.
        unknown_groups: groups whose choice is unknown; `tree` has their default choice.
        folder: folder of the run or the sweep; None if no setting sets it.
        launcher: config node `hydra.launcher`, which selects the launcher that starts jobs.
        config: the config as Hydra composed it, with the node `hydra`.
    """

    settings: tuple[str, ...]
    tree: dict[str, Any]
    faults: tuple[Fault, ...]
    unknown_groups: frozenset[str]
    folder: str | None
    launcher: dict[str, Any]
    config: DictConfig

    @property
    def parallel_jobs(self) -> object:
        """The value of `launcher.jobs`; None without such a key, which the check reports."""
        node = self.tree.get("launcher")
        return node.get("jobs") if isinstance(node, dict) else None


def compose_runs(
    settings: Sequence[str], multirun: bool, folders: Sequence[str] = ()
) -> list[ComposedRun]:
    """Compose the config of every run that the settings describe.

    Args:
        settings: `key=value` strings, in Hydra's grammar.
        multirun: whether several values mean several runs.
        folders: more folders with config groups, from `--config-dir`.

    Raises:
        UserError: a string is not a setting, or the config cannot be composed.
    """
    with hydra_loader(folders) as loader:
        overrides = parse_settings(settings, loader)
        refuse_sweeps(overrides, multirun)
        runs = expand_sweep(overrides) if multirun else [tuple(settings)]
        return [compose_run(run, "sweep" if multirun else "run", loader) for run in runs]


def to_yaml(config: DictConfig, package: str | None, resolve: bool) -> str:
    """Return the config of a run as YAML without the node `hydra`, for `--cfg job`.

    Args:
        config: the config as Hydra composed it.
        package: the dotted key of the node to show; None for the whole config.
        resolve: whether interpolations are replaced by their values.

    Raises:
        UserError: the config has no such key, or an interpolation cannot be resolved.
    """
    HydraConfig.instance().set_config(config)  # for interpolations such as ${hydra:job.num}
    node, head = without_hydra(config), ""
    if package not in (None, "_global_"):
        node, head = (
            _resolve(lambda: OmegaConf.select(config, str(package))),
            f"# @package {package}\n",
        )
    if node is None:
        raise UserError(f"--package: the config has no key {package!r}.")
    if not OmegaConf.is_config(node):
        return str(node)
    return head + str(_resolve(lambda: OmegaConf.to_yaml(node, resolve=resolve))).rstrip()


def compose_run(settings: tuple[str, ...], mode: str, loader: ConfigLoaderImpl) -> ComposedRun:
    """Compose one run.

    Args:
        settings: settings of this run.
        mode: `run` or `sweep`: the folder is the value of `hydra.run.dir` or `hydra.sweep.dir`.
        loader: Hydra's config loader.
    """
    overrides = parse_settings(settings)
    split = _split_overrides(overrides, loader)
    try:
        config = _compose([*split.choices, *split.values])
    except UserError:
        _drop_unknown_keys(split)
        config = _compose([*split.choices, *split.values])
    faults = [*split.faults, *foreign_code(config.hydra), *_sweeper_faults(config)]
    if mode == "sweep":
        faults += untyped_launcher(config.hydra.launcher, settings)
    _run_hydra(lambda: complete_inner_nodes(config, loader))
    folder_key = f"hydra.{mode}.dir"
    has_folder = any(override.key_or_group == folder_key for override in overrides)
    return ComposedRun(
        settings=settings,
        tree=_to_tree(config),
        faults=tuple(faults),
        unknown_groups=frozenset(split.unknown_groups),
        folder=_resolve(lambda: str(OmegaConf.select(config, folder_key))) if has_folder else None,
        launcher=_resolve(lambda: OmegaConf.to_container(config.hydra.launcher, resolve=True)),
        config=config,
    )


@dataclass
class _SplitOverrides:
    """Overrides by kind, without faulty ones.

    Attributes:
        choices: overrides of the form `group=name`.
        values: overrides of the form `key=value`.
        faults: faults for unknown choices and keys.
        unknown_groups: groups whose choice is unknown.
    """

    choices: list[Override] = field(default_factory=list)
    values: list[Override] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    unknown_groups: set[str] = field(default_factory=set)


def _split_overrides(overrides: Sequence[Override], loader: ConfigLoaderImpl) -> _SplitOverrides:
    """Split overrides by kind, and report unknown choices as faults."""
    result = _SplitOverrides()
    for override in overrides:
        group = str(override.key_or_group).partition("@")[0]
        options = options_of(loader.repository, group)
        fault = unknown_choice(group, override, options)
        if fault is not None:
            result.faults.append(fault)
            result.unknown_groups.add(group)
        else:
            (result.choices if options else result.values).append(override)
    # A key below a group whose choice is unknown cannot be checked.
    groups = result.unknown_groups
    result.values = [override for override in result.values if not _is_below(override, groups)]
    return result


def _drop_unknown_keys(overrides: _SplitOverrides) -> None:
    """Move overrides of unknown keys from the values to the faults."""
    config = _compose(overrides.choices)
    checked = [(override, unknown_key(config, override)) for override in overrides.values]
    overrides.values = [override for override, fault in checked if fault is None]
    overrides.faults += [fault for _, fault in checked if fault is not None]


def _is_below(override: Override, groups: Iterable[str]) -> bool:
    """Return whether the key of an override is below one of the groups."""
    key = f"{override.key_or_group}."
    return any(key.startswith(f"{group.replace('/', '.')}.") for group in groups)


def _sweeper_faults(config: DictConfig) -> list[Fault]:
    """Return faults for Hydra's sweepers: kdrun has its own sweeps and searches."""
    sweeper, reason = config.hydra.sweeper, "kdrun sweeps and searches itself; "
    if not str(sweeper._target_).endswith(".BasicSweeper"):
        return [Fault("hydra/sweeper", f"{reason}for a search: kdrun search")]
    if sweeper.get("params"):
        hint = "values go on the command line: kdrun -m k=1,2"
        return [Fault("hydra.sweeper.params", f"{reason}{hint}")]
    return []


# What Hydra raises for files that have another shape, such as a list for a mapping.
_OTHER_SHAPE = (ValueError, TypeError, AttributeError, LookupError, AssertionError)


def _compose(overrides: Sequence[Override]) -> DictConfig:
    settings = [str(override.input_line) for override in overrides]
    try:
        return _run_hydra(lambda: compose("config", overrides=settings, return_hydra_config=True))
    except _OTHER_SHAPE as error:
        raise UserError(f"the config can't be composed: {first_line(error)}.") from error


def _run_hydra(call: Callable[[], T]) -> T:
    """Call a function, and raise errors of Hydra as errors for the user.

    Raises:
        UserError: Hydra raised an error; the message leaves out Hydra's search path.
    """
    try:
        return call()
    except (HydraException, OmegaConfBaseException) as error:
        message = str(error).partition("Config search path:")[0]
        lines = [line.strip() for line in message.splitlines() if line.strip()]
        raise UserError(lines[0], *(f"  {line}" for line in lines[1:3])) from error


def _to_tree(config: DictConfig) -> dict[str, Any]:
    """Return a config without the node `hydra` as dicts and lists."""
    HydraConfig.instance().set_config(config)  # for interpolations such as ${hydra:job.num}
    return resolved(without_hydra(config))


def resolved(task: DictConfig) -> dict[str, Any]:
    """Return a config that has no node `hydra` as dicts and lists."""
    tree = _resolve(lambda: OmegaConf.to_container(task, resolve=True, throw_on_missing=False))
    return plain_tree(tree)


def without_hydra(config: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _resolve(call: Callable[[], Any]) -> Any:
    """Call a function that resolves interpolations, and return its result.

    Raises:
        UserError: an interpolation cannot be resolved.
    """
    try:
        return call()
    except OmegaConfBaseException as error:
        raise UserError(f"the config can't be resolved: {first_line(error)}") from error
