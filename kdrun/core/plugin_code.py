"""The code of plugins, which counts in the fingerprint of each stage that uses it."""

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from kdrun.core.errors import UserError
from kdrun.core.plugins import KINDS

_INSTALLED = ("site-packages", "dist-packages")  # folders in which pip installs packages
_KDRUN = "kdrun"  # a plugin imports it, and a checkout of it may lie in the same folder


@dataclass(frozen=True)
class PluginCode:
    """What a plugin adds, and a hash of its source files.

    Attributes:
        components: the names of its losses, models, schemes and so on.
        digest: the hash.
    """

    components: frozenset[str]
    digest: str


def plugin_codes(modules: Mapping[str, str], config: Mapping[str, Any]) -> dict[str, PluginCode]:
    """Return name -> code of the installed plugins that a config uses.

    Args:
        modules: name of each plugin -> the name of its module; modules that could not be imported
            are left out.
        config: the config as a plain tree.
    """
    words, codes = words_of(config), dict[str, PluginCode]()
    for name, module in modules.items():
        if module in sys.modules:
            codes[name] = _code_of(sys.modules[module])
    return {name: code for name, code in codes.items() if code.components & words}


def words_of(value: object) -> set[str]:
    """Return all strings in nested mappings and lists; the keys of mappings are among them."""
    if isinstance(value, str):
        return {value}
    if isinstance(value, Mapping):
        return words_of(list(value)) | words_of(list(value.values()))
    if isinstance(value, list | tuple):
        return set[str]().union(*map(words_of, value))
    return set()


def refuse_changed_code(
    recorded: Mapping[str, str], codes: Mapping[str, PluginCode], folder: Path
) -> None:
    """Refuse to go on with a run if the code of a plugin was changed since the run began.

    Args:
        recorded: name of each plugin -> the hash of its code when the run began.
        codes: the plugins as they are now.
        folder: the folder of the run, for the message.

    Raises:
        UserError: the code of a plugin was changed.
    """
    for name, code in codes.items():
        if recorded.get(name, code.digest) != code.digest:
            raise UserError(
                f"the code of the plugin {name!r} is not the one that the run in {str(folder)!r}"
                " began with.",
                "  undo the change, or start a new run with it",
            )


@cache  # what was imported stays in use in this process, even if its files change
def _code_of(module: ModuleType) -> PluginCode:
    tables: list[dict[str, str]] = [getattr(module, kind.table, {}) for kind in KINDS.values()]
    components = frozenset(name for table in tables for name in table)
    listed = {_top_level(target) for table in tables for target in table.values()}
    digest = blake2b(digest_size=10)
    for root, path in sorted(_source_files(_top_level(module.__name__), listed)):
        digest.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return PluginCode(components, digest.hexdigest())


def _source_files(plugin: str, listed: set[str]) -> set[tuple[Path, Path]]:
    """Return the source files of a plugin, each with the folder that holds its top-level module.

    These are all files of its package, or the file of its module; and those of the modules that it
    lists or imports, except for installed packages.

    Args:
        plugin: the name of its top-level module.
        listed: the names of the top-level modules in its tables.
    """
    files, seen = set[tuple[Path, Path]](), set[Path]()
    waiting = [*_places(plugin), *(place for name in listed for place in _places(name, own=True))]
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        sources = sorted(place.rglob("*.py")) if place.is_dir() else [place]
        files |= {(place.parent, path) for path in sources}
        imported = {name for path in sources for name in _imports(path)}
        waiting += [found for name in imported for found in _places(name, own=True)]
    return files


def _places(name: str, own: bool = False) -> list[Path]:
    """Return the folders of a top-level package, or the file of a module; [] if it has none.

    Args:
        name: the name of the package or module.
        own: whether kdrun and what is installed or built in is left out.
    """
    if own and (name == _KDRUN or name in sys.stdlib_module_names):
        return []
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    places = [Path(place) for place in spec.submodule_search_locations or [spec.origin or ""]]
    return [
        place
        for place in places
        if (place.is_dir() or place.suffix == ".py")
        and not (own and place.parent.name in _INSTALLED)
    ]


def _imports(path: Path) -> Iterator[str]:
    """Yield the top-level names of the modules that a source file imports by absolute names."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # such a file can't be imported
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (_top_level(alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield _top_level(node.module)


def _top_level(name: str) -> str:
    """Return the top-level module of a module's name, or of a "module:attribute"."""
    return name.partition(":")[0].partition(".")[0]
