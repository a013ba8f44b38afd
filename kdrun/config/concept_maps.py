"""Reads concept maps (concept -> classes) from conf/concepts, or from files of the user."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kdrun.config.choices import conf_folder
from kdrun.core.careful_yaml import read_yaml, yaml_error
from kdrun.core.errors import Fault, UserError
from kdrun.core.faults import Faults
from kdrun.core.home import in_home
from kdrun.core.reading import open_named
from kdrun.core.unknown import suggest

_SCHEME, _KEY = "concepts", "scheme.map"  # the scheme that needs a concept map, and its config key


def with_concepts(tree: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Replace the name of a concept map by the map, so that the run's config contains the map.

    Args:
        tree: the resolved config.

    Returns:
        The config, and faults of the map.
    """
    scheme = tree.get("scheme")
    if not isinstance(scheme, dict) or scheme.get("name") != _SCHEME:
        return dict(tree), []
    name = scheme.get("map")
    if name is None:
        return dict(tree), [Fault(_KEY, _missing(tree.get("dataset")))]
    if not isinstance(name, str):
        return dict(tree), []
    faults = Faults()
    with faults.under(_KEY):
        tree = {**tree, "scheme": {**scheme, "map": _read(name)}}
    return dict(tree), list(faults)


def _read(name: str) -> dict[str, Any]:
    """Read the concept map with a name, or from a file at this path.

    Raises:
        UserError: there is no such map and no such file, or the file is not a concept map.
    """
    files = _files()
    path = files.get(name, in_home(name))
    if not path.exists():
        raise UserError(f"{name!r} is neither a concept map nor a file; {suggest(name, files)}")
    try:
        concepts = read_yaml(open_named(path))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise yaml_error(path, error) from error
    if not isinstance(concepts, dict):
        raise UserError(f"{str(path)!r} is not a concept map: it needs lines like CONCEPT: [CLASS]")
    return {str(concept): classes for concept, classes in concepts.items()}


def _missing(dataset: Any) -> str:
    """Return the message for a missing map; it suggests a map of the dataset."""
    name = dataset.get("name") if isinstance(dataset, dict) else None
    maps = [file for file in _files() if file.startswith(f"{name}_")]
    forms = "a file, or {CONCEPT: [CLASS, ...], ...}"
    if maps:
        return f"must be given; for {name}: scheme.map={maps[0]}, or your own: {forms}"
    return f"must be given: {forms}"


def _files() -> dict[str, Path]:
    """Return name of each concept map -> its file."""
    return {path.stem: path for path in sorted((conf_folder() / "concepts").glob("*.yaml"))}
