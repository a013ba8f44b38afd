"""Plugins: modules outside of kdrun with tables of their models, losses, datasets and so on.

A component is one entry of such a table, such as one loss.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType
from typing import NamedTuple

from kdrun.core.errors import UserError
from kdrun.core.faults import Faults

ENTRY_POINTS = "kdrun.plugins"


class Kind(NamedTuple):
    """A kind of component.

    Attributes:
        table: the name of its table, in kdrun and in plugins.
        module: the module of kdrun that has this table.
        group: the config group of its settings; empty if it has no settings.
        plural: KIND of `kdrun list KIND`, which lists them; empty if nothing does.
    """

    table: str
    module: str
    group: str
    plural: str = ""


KINDS = {
    "model": Kind("MODELS", "kdrun.model.table", "model", "models"),
    "loss": Kind("LOSSES", "kdrun.loss.table", "loss", "losses"),
    "scheme": Kind("SCHEMES", "kdrun.scheme.table", "scheme", "schemes"),
    "dataset": Kind("DATASETS", "kdrun.dataset.table", "dataset", "datasets"),
    "step": Kind("STEPS", "kdrun.step.table", "step", "steps"),
    "calibrator": Kind("CALIBRATORS", "kdrun.compress.calibrators", "calibrator"),
    "protocol": Kind("PROTOCOLS", "kdrun.measure.protocols", "protocol"),
    "format": Kind("FORMATS", "kdrun.export.table", ""),
    "tokenizer": Kind(
        "TOKENIZERS", "kdrun.dataset.text.tokenizers.table", "dataset/tokenizer", "tokenizers"
    ),
    "task": Kind("TASKS", "kdrun.task", ""),
    "optimizer": Kind("OPTIMIZERS", "kdrun.engine.optimizers", "recipe/optimizer"),
    "schedule": Kind("SCHEDULES", "kdrun.engine.schedules", "recipe/schedule"),
}

PluginComponents = Mapping[str, set[str]]  # kind -> names of the components that plugins add

_named: set[str] = set()  # what the user's own words name in this process


def table_of(kind: str) -> dict[str, str]:
    """Return the table of a kind in kdrun: name -> "module:attribute"."""
    name, module, *_ = KINDS[kind]
    return getattr(import_module(module), name)


def plugin_modules(names: Iterable[str]) -> dict[str, str]:
    """Return the plugins that the user's own words name, and installed packages.

    Args:
        names: names of modules, as the user typed them; `plugins_of_config` then allows them.

    Returns:
        Name of each plugin -> the name of its module.
    """
    names = list(names)
    _named.update(names)
    return {**{name: name for name in names}, **_installed()}


def named_plugins() -> list[str]:
    """Return the names of the modules that the user's words named in this process."""
    return sorted(_named)


def plugins_of_config(names: Iterable[str]) -> dict[str, str]:
    """Return the plugins of a config, which the user has to name, too, and installed packages.

    A config may come from a stranger, and to import a module runs its code.

    Args:
        names: names of modules, from the key `plugins` of the config.

    Returns:
        Name of each plugin -> the name of its module.

    Raises:
        UserError: the user's words do not name a module, and it is not installed as a plugin.
    """
    names, installed = list(names), _installed()
    unnamed = [name for name in names if name not in {*_named, *installed, *installed.values()}]
    if unnamed:
        raise UserError(
            f"the plugin {unnamed[0]!r} is imported only if the command itself names it.",
            f"  if you trust its code, add to the command: plugins=[{','.join(map(str, names))}]",
        )
    return {**{name: name for name in names}, **installed}


def _installed() -> dict[str, str]:
    return {point.name: point.module for point in entry_points(group=ENTRY_POINTS)}


def install_plugins(modules: Mapping[str, str]) -> PluginComponents:
    """Import plugins, and add their tables to those of kdrun.

    A plugin is a module with one or more dicts name -> "module:attribute", which are called as
    those of `KINDS`. To install a plugin again changes nothing.

    Args:
        modules: name of each plugin -> the name of its module.

    Returns:
        The names of the components that were added, by kind.

    Raises:
        ConfigError: modules can't be imported, have no table, or use a name that is taken.
    """
    added: dict[str, set[str]] = {}
    faults = Faults()
    for name, module in modules.items():
        with faults.under("plugins"):
            _install(name, module, added)
    faults.raise_if_any()
    return added


def _install(name: str, module_name: str, added: dict[str, set[str]]) -> None:
    module = _import(module_name)
    kinds = [kind for kind in KINDS if hasattr(module, KINDS[kind].table)]
    if not kinds:
        tables = ", ".join(kind.table for kind in KINDS.values())
        raise UserError(f"the plugin {name!r} has none of {tables}.")
    for kind in kinds:
        table = table_of(kind)
        for component, target in getattr(module, KINDS[kind].table).items():
            if table.get(component, target) != target:
                raise UserError(
                    f"the plugin {name!r} defines a {kind} {component!r}; that name is taken."
                )
            table[component] = target
            added.setdefault(kind, set()).add(component)


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except (ImportError, SyntaxError) as error:
        raise UserError(
            f"the plugin {name!r} can't be imported: {error}.",
            "  plugins are modules on the Python path: PYTHONPATH=. kdrun plugins=[my_module]",
        ) from error
