"""Plugins: modules outside of kdrun with tables of their models, losses, datasets and so on.

A part is one entry of such a table, such as one loss.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType

from kdrun.core.errors import UserError
from kdrun.core.faults import Faults

ENTRY_POINTS = "kdrun.plugins"
# Name of a table, in kdrun and in plugins -> the module of kdrun that has this table.
TABLES = {
    "MODELS": "kdrun.model.table",
    "LOSSES": "kdrun.loss.table",
    "SCHEMES": "kdrun.scheme.table",
    "DATASETS": "kdrun.dataset.table",
    "STEPS": "kdrun.step.table",
    "CALIBRATORS": "kdrun.compress.calibrators",
    "PROTOCOLS": "kdrun.measure.protocols",
    "FORMATS": "kdrun.export.table",
    "OPTIMIZERS": "kdrun.engine.optimizers",
    "SCHEDULES": "kdrun.engine.schedules",
}

PluginParts = Mapping[str, set[str]]  # name of a table -> names of the parts that plugins add to it


def plugin_modules(names: Iterable[str]) -> dict[str, str]:
    """Return the plugins of a run: the modules that its config names, and installed packages.

    Args:
        names: names of modules, from the key `plugins`.

    Returns:
        Name of each plugin -> the name of its module.
    """
    installed = {point.name: point.module for point in entry_points(group=ENTRY_POINTS)}
    return {**{name: name for name in names}, **installed}


def install_plugins(modules: Mapping[str, str]) -> PluginParts:
    """Import plugins, and add their tables to those of kdrun.

    A plugin is a module with one or more dicts name -> "module:attribute", which have the names in
    `TABLES`. To install a plugin again changes nothing.

    Args:
        modules: name of each plugin -> the name of its module.

    Returns:
        The names of the parts that were added to each table.

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
    tables = [table for table in TABLES if hasattr(module, table)]
    if not tables:
        raise UserError(f"the plugin {name!r} has none of {', '.join(TABLES)}.")
    for table in tables:
        parts = getattr(import_module(TABLES[table]), table)
        for part, target in getattr(module, table).items():
            if parts.get(part, target) != target:
                raise UserError(f"the plugin {name!r} calls a part {part!r}; that name is taken.")
            parts[part] = target
            added.setdefault(table, set()).add(part)


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except (ImportError, SyntaxError) as error:
        raise UserError(
            f"the plugin {name!r} can't be imported: {error}.",
            "  plugins are modules on the Python path: PYTHONPATH=. kdrun plugins=[my_module]",
        ) from error
