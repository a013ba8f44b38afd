"""Faults for unknown choices and unknown keys, which suggest similar names."""

from importlib import import_module
from typing import Any

from hydra._internal.config_repository import IConfigRepository
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from kdrun.config.choices import ROLES, register_torchvision
from kdrun.config.inner_nodes import SINGLE
from kdrun.config.overrides import typed_value
from kdrun.core.errors import Fault
from kdrun.core.plugins import KINDS
from kdrun.core.unknown import unknown_key_of, unknown_name

# Config group -> KIND of `kdrun list KIND`, which lists its choices.
_LIST_KINDS = {
    **dict.fromkeys(ROLES, "models"),
    **{kind.group: kind.plural for kind in KINDS.values() if kind.plural},
    "recipe": "recipes",
    "compress": "compress",
}
_EXTRAS = {("hydra/launcher", "joblib"): "sweep"}  # (group, choice) -> pip extra that installs it


def options_of(files: IConfigRepository, group: str) -> list[str]:
    """Return the choices of a group: its files.

    Args:
        files: all config files that Hydra searches.
        group: config group, such as `loss`. Only the subfolders of `experiment` hold choices of it,
            such as `crd/NAME`; those of other groups, such as `recipe/schedule`, are groups.
    """
    names = [name for name in files.get_group_options(group) if not name.startswith("_")]
    nested = group.partition("/")[0] == "experiment"
    folders = files.get_group_options(group, ObjectType.GROUP) if nested else []
    return names + [
        f"{folder}/{name}" for folder in folders for name in options_of(files, f"{group}/{folder}")
    ]


def unknown_choice(group: str, override: Override, options: list[str]) -> Fault | None:
    """Return a fault if the group of an override does not have a chosen name, else None.

    The name of a torchvision network without a file is registered as a choice.

    Args:
        group: config group, or a config key.
        override: `group=name` or `key=value`.
        options: the choices of the group; empty for a config key.
    """
    value = override.value()
    if not options or override.is_delete() or isinstance(value, dict):
        return None
    for name in value if isinstance(value, list) else [value]:
        known = name in options or (group in ROLES and register_torchvision(group, str(name)))
        if not known:
            return _unknown_choice_fault(group, str(name), options)
    return None


def _unknown_choice_fault(group: str, name: str, options: list[str]) -> Fault:
    if (group, name) in _EXTRAS:
        message = f"{group}={name} needs an extra: pip install 'kdrun[{_EXTRAS[group, name]}]'"
        return Fault("", message)
    others = import_module("kdrun.model").names() if group in ROLES else []
    names = dict.fromkeys([*options, *others])  # kdrun's own first
    list_command = f"kdrun list {_LIST_KINDS[group]}" if group in _LIST_KINDS else ""
    return Fault("", str(unknown_name(group, name, names, list_command)))


def unknown_key(base: DictConfig, override: Override) -> Fault | None:
    """Return a fault if the config does not have the key of an override, else None.

    Args:
        base: the config, composed without `key=value` overrides.
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
        if name not in node.keys():  # noqa: SIM118 - `in node` is false for keys whose value is ???
            siblings = [str(sibling) for sibling in node]
            parent = repr(node.get("name") or names[depth - 1]) if depth else "the config"
            return Fault(key, unknown_key_of(parent, name, siblings))
        node = node._get_node(name)
        if isinstance(node, DictConfig) and node._is_none():
            return None
    return None


def _not_a_mapping(parent: str, rest: str, override: Override) -> Fault:
    """Return the fault of an override whose key is below a key that holds a plain value.

    Args:
        parent: the key that holds a plain value.
        rest: the key below `parent`.
        override: `parent.rest=value`.
    """
    name = "name: NAME, " if parent in SINGLE else ""
    mapping = f"{{{name}{rest}: {typed_value(override)}}}"
    return Fault(
        f"{parent}.{rest}", f"{parent} holds no keys yet; give it as a whole: '{parent}={mapping}'"
    )
