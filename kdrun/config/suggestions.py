"""Faults for unknown choices and unknown keys, with the names that are nearest."""

from importlib import import_module
from typing import Any

from hydra._internal.config_repository import IConfigRepository
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from kdrun.config.choices import ROLES, offer_torchvision
from kdrun.config.inner_nodes import SINGLE
from kdrun.core.errors import Fault
from kdrun.core.unknown import unknown_key_of, unknown_name

# Config group -> what `kdrun list` calls its choices.
_LISTED = {
    "teacher": "models",
    "student": "models",
    "dataset": "datasets",
    "loss": "losses",
    "scheme": "schemes",
    "recipe": "recipes",
    "compress": "compress",
}
_EXTRAS = {("hydra/launcher", "joblib"): "sweep"}  # choice -> the extra that installs it


def options_of(files: IConfigRepository, group: str) -> list[str]:
    """Return the choices of a group: its files, or else the files of its folders.

    Args:
        files: all config files that Hydra searches.
        group: such as `loss`, or `experiment`, whose choices are `crd/NAME`.
    """
    names = [name for name in files.get_group_options(group) if not name.startswith("_")]
    folders = [] if names else files.get_group_options(group, ObjectType.GROUP)
    return names + [
        f"{folder}/{name}" for folder in folders for name in options_of(files, f"{group}/{folder}")
    ]


def unknown_choice(group: str, override: Override, options: list[str]) -> Fault | None:
    """Return the fault of an override whose group has no such choice; None if there is none.

    A torchvision network without a file is made a choice here.

    Args:
        group: that the override chooses from.
        override: `group=name`, or `key=value`, which has no options.
        options: the choices of the group.
    """
    name = override.value()
    if not options or override.is_delete() or isinstance(name, list | dict) or name in options:
        return None
    if group in ROLES and offer_torchvision(group, str(name)):
        return None
    return _unknown(group, str(name), options)


def _unknown(group: str, name: str, options: list[str]) -> Fault:
    if (group, name) in _EXTRAS:
        what = f"{group}={name} needs an extra: pip install 'kdrun[{_EXTRAS[group, name]}]'"
        return Fault("", what)
    known = {*options, *import_module("kdrun.model").names()} if group in ROLES else options
    list_all = f"kdrun list {_LISTED[group]}" if group in _LISTED else ""
    return Fault("", str(unknown_name(group, name, sorted(known), list_all)))


def unknown_key(base: DictConfig, override: Override) -> Fault | None:
    """Return the fault of an override whose key the config does not have; None if it has it.

    Args:
        base: the config, composed without such overrides.
        override: `key=value`.
    """
    key = str(override.key_or_group)
    if override.is_add() or override.is_force_add() or override.is_delete():
        return None
    node: Any = base
    names = key.split("/")[0].split(".") if "/" not in key else []
    for depth, name in enumerate(names):
        if not isinstance(node, DictConfig):
            return _not_a_mapping(".".join(names[:depth]), ".".join(names[depth:]), override)
        if name not in node.keys():  # noqa: SIM118 - `in` denies keys whose value is ???
            siblings = [str(sibling) for sibling in node]
            owner = repr(node.get("name") or names[depth - 1]) if depth else "the config"
            return Fault(key, unknown_key_of(owner, name, siblings))
        node = node._get_node(name)
        if isinstance(node, DictConfig) and node._is_none():
            return None
    return None


def _not_a_mapping(parent: str, rest: str, override: Override) -> Fault:
    """The fault of an override below a key that holds a plain value.

    Args:
        parent: that key.
        rest: the override's key below it.
        override: `parent.rest=value`.
    """
    value = str(override.input_line).partition("=")[2]
    name = "name: NAME, " if parent in SINGLE else ""
    return Fault(
        f"{parent}.{rest}",
        f"{parent} holds no keys yet; give it as a whole: '{parent}={{{name}{rest}: {value}}}'",
    )
