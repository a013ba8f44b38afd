"""Choices of config groups that have no YAML file: Hydra finds them in its ConfigStore."""

import inspect
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

from kdrun.core.plugins import TABLES, PluginParts
from kdrun.core.registry import keywords, resolve
from kdrun.core.unknown import unknown_name

ROLES = ("teacher", "student")  # config groups whose choices are those of the group `model`
_TORCHVISION = "torchvision"  # the file of conf/model for torchvision networks without their own
_GROUPS = {
    "MODELS": "model",
    "LOSSES": "loss",
    "SCHEMES": "scheme",
    "DATASETS": "dataset",
    "STEPS": "step",
    "CALIBRATORS": "calibrator",
    "PROTOCOLS": "protocol",
    "OPTIMIZERS": "recipe/optimizer",
    "SCHEDULES": "recipe/schedule",
}  # of a plugin's tables; a format has no settings, hence no group
_NO_AUGMENTATION = {"crop": 0, "flip": False, "resized_crop": None}


def conf_folder() -> Path:
    """conf/ beside the package when installed from a wheel, else the checkout's."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def offer_models(folders: Sequence[str] = ()) -> None:
    """Make each file of the group `model` a choice of `teacher` and of `student`.

    Args:
        folders: more folders with config groups, beside conf/.
    """
    for name in _file_names("model", folders):
        _offer_roles(name)


def offer_steps(folders: Sequence[str] = ()) -> None:
    """Make each file of the group `step` a choice of `compress`: that step alone.

    Args:
        folders: more folders with config groups, beside conf/.
    """
    for name in _file_names("step", folders):
        _offer("compress", name, _compress_node([name]))


def offer_step_list(names: Sequence[str], folders: Sequence[str] = ()) -> str:
    """Make several steps in a row a choice of `compress`.

    Args:
        names: of the steps, in order; the same step may come again.
        folders: more folders with config groups, beside conf/.

    Returns:
        The name of the choice.

    Raises:
        UserError: no step has such a name.
    """
    known = sorted({*_file_names("step", folders), *_stored_names("step")})
    for name in names:
        if name not in known:
            raise unknown_name("compression step", name, known, "kdrun list steps")
    choice = "+".join(names)
    _offer("compress", choice, _compress_node(names))
    return choice


def _compress_node(names: Sequence[str]) -> dict[str, Any]:
    """The node of steps in a row; the key of a step that comes again ends in a number."""
    keys: list[str] = []
    for name in names:
        before = sum(key.rstrip("0123456789") == name for key in keys)
        keys.append(f"{name}{before + 1}" if before else name)
    steps = [f"/step/{name}@{key}" for name, key in zip(names, keys, strict=True)]
    return {"defaults": ["_base", *steps, "_self_"], "steps": keys}


def offer_plugin_parts(added: PluginParts, folders: Sequence[str] = ()) -> None:
    """Make the parts of plugins choices of their groups.

    The values of a choice are the default values of the part's signature, and `???` for a
    parameter without one. A part that has a YAML file gets its values there.

    Args:
        added: the parts, by the names of their tables.
        folders: more folders with config groups, beside conf/.

    Raises:
        UserError: a part can't be imported, or its annotations can't be read.
    """
    for table in added.keys() & _GROUPS.keys():
        group = _GROUPS[table]
        for name in added[table] - _file_names(group, folders):
            _offer(group, name, plugin_node(table, name), replace=True)
            if group == "model":
                _offer_roles(name)
            if group == "step":
                _offer("compress", name, _compress_node([name]))


def offer_torchvision(group: str, name: str) -> bool:
    """Make a torchvision network that has no file a choice of a group.

    Args:
        group: `model`, `teacher` or `student`.
        name: of the network.

    Returns:
        Whether there is a network of this name.
    """
    if name not in import_module("kdrun.model").names():
        return False
    _offer(group, name, {"defaults": [f"/model/{_TORCHVISION}@_here_", "_self_"], "name": name})
    return True


def _offer_roles(name: str) -> None:
    for role in ROLES:
        _offer(role, name, {"defaults": [f"/model/{name}@_here_"]})


def _offer(group: str, name: str, node: dict[str, Any], replace: bool = False) -> None:
    """Store a node as a choice, once: to store all models anew took a tenth of composing."""
    if replace or name not in _stored_names(group):
        ConfigStore.instance().store(group=group, name=name, node=node)


def _stored_names(group: str) -> set[str]:
    """The choices of a group that were stored from code."""
    node: Any = ConfigStore.instance().repo
    for folder in group.split("/"):
        node = node.get(folder, {})
    return {str(name).removesuffix(".yaml") for name in node}


def _file_names(group: str, folders: Sequence[str]) -> set[str]:
    """The choices of a group that have a file, in conf/ or in one of the folders."""
    roots = (conf_folder(), *map(Path, folders))
    return {path.stem for root in roots for path in (root / group).glob("*.yaml")}


def plugin_node(table: str, name: str) -> dict[str, Any]:
    """Return a config node with the parameters of a plugin's part, from its signature.

    Args:
        table: the name of its table, such as `LOSSES`.
        name: of the part.

    Raises:
        UserError: it cannot be imported, or its annotations cannot be read.
    """
    part = resolve(_GROUPS[table], getattr(import_module(TABLES[table]), table), name)
    defaults = {
        key: parameter.default
        for key, parameter in inspect.signature(part).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    node = {
        "name": name,
        **{key: defaults.get(key, "???") for key in keywords(part, _given(table))},
    }
    if table != "DATASETS":
        return node
    return {"defaults": ["_base", "_self_"], "augment": _NO_AUGMENTATION, **node}


def _given(table: str) -> tuple[str, ...]:
    """Parameters of a part that kdrun passes itself, or that every dataset has."""
    if table == "MODELS":
        return (*import_module("kdrun.model").GIVEN, "name")
    if table == "OPTIMIZERS":
        return tuple(import_module("kdrun.engine.optimizers").GIVEN)
    if table == "DATASETS":
        return tuple(import_module("kdrun.dataset.config_node").KEYS)
    return ()
