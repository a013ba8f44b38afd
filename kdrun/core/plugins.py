"""Parts from outside: modules that hold tables of their own models, losses and datasets."""

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import entry_points
from types import ModuleType

from kdrun.core.errors import UserError
from kdrun.core.faults import Faults

ENTRY_POINTS = "kdrun.plugins"
TABLES = {
    "MODELS": "kdrun.model.table",
    "LOSSES": "kdrun.loss.table",
    "SCHEMES": "kdrun.scheme.table",
    "DATASETS": "kdrun.dataset.table",
}


def install_plugins(names: Iterable[str]) -> list[str]:
    """Add the tables of the named modules, and of installed plugins, to kdrun's own.

    A plugin is a module with a dict called MODELS, LOSSES, SCHEMES or DATASETS:
    name -> "module:attribute".

    Returns:
        The names of the plugins, to be printed.

    Raises:
        ConfigError: modules can't be imported, have no table, or take a name that is taken.
    """
    places = {name: name for name in names}
    places |= {point.name: point.module for point in entry_points(group=ENTRY_POINTS)}
    faults = Faults()
    for name, place in places.items():
        with faults.under("plugins"):
            _install(name, _import(place))
    faults.raise_if_any()
    return list(places)


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except (ImportError, SyntaxError) as error:
        raise UserError(
            f"the plugin {name!r} can't be imported: {error}.",
            "  plugins are modules on the Python path: PYTHONPATH=. kdrun plugins=[my_module]",
        ) from error


def _install(name: str, module: ModuleType) -> None:
    tables = [table for table in TABLES if hasattr(module, table)]
    if not tables:
        raise UserError(f"the plugin {name!r} has none of {', '.join(TABLES)}.")
    for table in tables:
        own = getattr(import_module(TABLES[table]), table)
        for part, place in getattr(module, table).items():
            if own.get(part, place) != place:
                raise UserError(f"the plugin {name!r} calls a part {part!r}; that name is taken.")
            own[part] = place
