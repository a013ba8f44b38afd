"""Concept maps by name: conf/concepts and files of one's own, read before anything is checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from kdrun.config.choices import conf_folder
from kdrun.core.careful_yaml import refuse_unfolding, unreadable
from kdrun.core.errors import Fault, UserError
from kdrun.core.faults import Faults
from kdrun.core.unknown import suggest

_SCHEME, _KEY = "concepts", "scheme.map"


def with_concepts(tree: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """The config with its concept map written out, so that the record has all of it; and faults."""
    scheme = tree.get("scheme")
    if not isinstance(scheme, dict) or scheme.get("name") != _SCHEME:
        return dict(tree), []
    named = scheme.get("map")
    if named is None:
        return dict(tree), [Fault(_KEY, _choose(tree.get("dataset")))]
    if not isinstance(named, str):
        return dict(tree), []
    faults = Faults()
    with faults.under(_KEY):
        tree = {**tree, "scheme": {**scheme, "map": _read(named)}}
    return dict(tree), list(faults)


def _read(named: str) -> dict[str, Any]:
    """The map that is called so, or that is in this file.

    Raises:
        UserError: there is none, or it is no map.
    """
    known = _known()
    path = known.get(named, Path(named).expanduser())
    if not path.is_file():
        raise UserError(f"{named!r} is neither a concept map nor a file; {suggest(named, known)}")
    try:
        refuse_unfolding(path)
        concepts = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise unreadable(path, error) from error
    if not isinstance(concepts, dict):
        raise UserError(f"{str(path)!r} is no concept map: it needs lines like CONCEPT: [CLASS]")
    return {str(name): classes for name, classes in concepts.items()}


def _choose(dataset: Any) -> str:
    """What to give, with the maps that were made for the dataset."""
    name = dataset.get("name") if isinstance(dataset, dict) else None
    fitting = [known for known in _known() if known.startswith(f"{name}_")]
    own = "a file, or {CONCEPT: [CLASS, ...], ...}"
    if fitting:
        return f"must be given; for {name}: scheme.map={fitting[0]}, or your own: {own}"
    return f"must be given: {own}"


def _known() -> dict[str, Path]:
    return {path.stem: path for path in sorted((conf_folder() / "concepts").glob("*.yaml"))}
