"""Reads the typed config; sections with faults are left out, so that the others can be checked."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from kdrun.core.config import Config
from kdrun.core.errors import Fault
from kdrun.core.faults import Faults
from kdrun.core.registry import check_model

_TARGET = "_target_"
_LARGEST = 1e12  # far from where float32 overflows, also if it is squared


def without_targets(value: Any, faults: Faults, where: str = "") -> Any:
    """Return a tree without its `_target_` keys, each of which is a fault.

    Hydra would call what `_target_` names; a config of kdrun names components and calls no code.

    Args:
        value: a config tree, or one of its values.
        faults: receives one fault for each `_target_`.
        where: the dotted key of the value; empty for the root of the tree.
    """
    if isinstance(value, list):
        return [without_targets(item, faults, where) for item in value]
    if not isinstance(value, Mapping):
        return value
    start = f"{where}." if where else ""
    if _TARGET in value:
        faults.add(f"{start}{_TARGET}", "is refused: a config names components, it calls no code")
    return {
        key: without_targets(item, faults, f"{start}{key}")
        for key, item in value.items()
        if key != _TARGET
    }


def read_config(tree: Mapping[str, Any], faults: Faults) -> Config:
    """Return the typed config; it has no attributes for the sections with faults.

    Args:
        tree: the config as plain dicts and lists.
        faults: receives wrong types, values out of range or too large to compute with, and
            unknown or missing keys.
    """
    new_faults = [*check_model("", tree, Config, "the config"), *_too_large(tree, "")]
    if not new_faults:
        return Config.model_validate(tree)
    faults.extend(new_faults)
    sound = set(tree) - sections(new_faults)
    return Config.model_construct(**{key: _typed(key, tree[key]) for key in sound})


def sections(faults: Iterable[Fault]) -> set[str]:
    """Return the top-level config keys of faults."""
    return {fault.where.partition(".")[0] for fault in faults}


def _too_large(value: Any, where: str) -> list[Fault]:
    """Return a fault for each number that is too large to compute with; seeds have no limit."""
    if isinstance(value, Mapping):
        return [
            fault
            for key, item in value.items()
            if not str(key).endswith("seed")
            for fault in _too_large(item, f"{where}.{key}".lstrip("."))
        ]
    if isinstance(value, list):
        return [fault for item in value for fault in _too_large(item, where)]
    if isinstance(value, int | float) and _LARGEST < abs(value) < math.inf:
        return [Fault(where, f"{value} is too large to compute with: at most {_LARGEST:.0e}")]
    return []


def _typed(key: str, value: Any) -> Any:
    section = Config.model_fields[key].annotation
    if isinstance(section, type) and issubclass(section, BaseModel):
        return section.model_validate(value)
    return value
