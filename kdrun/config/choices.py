"""Registers choices of config groups that have no YAML file, in Hydra's ConfigStore.

A choice is a name that a config group accepts: `kd` is a choice of the group `loss` (`loss=kd`).
"""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore

from kdrun.core.plugins import KINDS, PluginComponents, table_of
from kdrun.core.registry import keywords, resolve
from kdrun.core.unknown import unknown_name

ROLES = ("teacher", "student")  # these config groups have the same choices as the group `model`
_TORCHVISION = "torchvision"  # conf/model/torchvision.yaml, for torchvision networks without a file
_NO_AUGMENTATION = {"crop": 0, "flip": False, "resized_crop": None}


def conf_folder() -> Path:
    """Return conf/ inside the package if a wheel was installed, else conf/ of the checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def register_models(folders: Sequence[str] = ()) -> None:
    """Register each file of the group `model` as a choice of `teacher` and `student`.

    Args:
        folders: more folders with config groups, beside conf/.
    """
    _register_roles(_file_names("model", folders), folders)


def register_steps(folders: Sequence[str] = ()) -> None:
    """Register each file of the group `step` as a choice of `compress` with only this step.

    Args:
        folders: more folders with config groups, beside conf/.
    """
    _register_single_steps(_file_names("step", folders), folders)


def register_step_list(names: Sequence[str], folders: Sequence[str] = ()) -> str:
    """Register a sequence of steps as a choice of `compress`.

    Args:
        names: names of the steps, in order; a step may occur several times.
        folders: more folders with config groups, beside conf/.

    Returns:
        The name of the choice.

    Raises:
        UserError: no step has such a name.
    """
    steps = sorted({*_file_names("step", folders), *_stored_names("step")})
    for name in names:
        if name not in steps:
            raise unknown_name("compression step", name, steps, "kdrun list steps")
    choice = "+".join(names)
    _register("compress", {choice: _compress_node(names)}, folders)
    return choice


def _compress_node(names: Sequence[str]) -> dict[str, Any]:
    """Return the config node of a sequence of steps; keys of repeated steps end in a number."""
    keys: list[str] = []
    for name in names:
        earlier = sum(key.rstrip("0123456789") == name for key in keys)
        keys.append(f"{name}{earlier + 1}" if earlier else name)
    steps = [f"/step/{name}@{key}" for name, key in zip(names, keys, strict=True)]
    return {"defaults": ["_base", *steps, "_self_"], "steps": keys}


def register_plugin_components(added: PluginComponents, folders: Sequence[str] = ()) -> None:
    """Register the components of plugins, such as losses, as choices of their config groups.

    The values of a choice are the default values in the component's signature, and `???` for a
    parameter without a default value. A component with a YAML file has its values there.

    Args:
        added: kind, such as `loss` -> names of the components.
        folders: more folders with config groups, beside conf/.

    Raises:
        UserError: a component can't be imported, or its annotations can't be read.
    """
    for kind, names in added.items():
        group = KINDS[kind].group
        without_file = names - _file_names(group, folders) if group else set()
        nodes = {name: plugin_node(kind, name) for name in without_file}
        _register(group, nodes, folders, replace=True)
        if kind == "model":
            _register_roles(names, folders)
        if kind == "step":
            _register_single_steps(names, folders)


def register_torchvision(group: str, name: str) -> bool:
    """Register a torchvision network that has no file as a choice of a group.

    Args:
        group: `model`, `teacher` or `student`.
        name: name of the network.

    Returns:
        Whether torchvision has a network of this name.
    """
    if name not in import_module("kdrun.model").names():
        return False
    node = {"defaults": [f"/model/{_TORCHVISION}@_here_", "_self_"], "name": name}
    _register(group, {name: node})
    return True


def _register_roles(names: Iterable[str], folders: Sequence[str]) -> None:
    """Register choices of the group `model` as choices of `teacher` and `student`."""
    nodes = {name: {"defaults": [f"/model/{name}@_here_"]} for name in names}
    for role in ROLES:
        _register(role, nodes, folders)


def _register_single_steps(names: Iterable[str], folders: Sequence[str]) -> None:
    """Register choices of the group `step` as choices of `compress` with only this step."""
    _register("compress", {name: _compress_node([name]) for name in names}, folders)


def _register(
    group: str,
    nodes: Mapping[str, dict[str, Any]],
    folders: Sequence[str] = (),
    replace: bool = False,
) -> None:
    """Store nodes as choices of a group, except those with a file.

    Hydra refuses a file whose name is stored, too: it takes the stored node for the file's schema.

    Args:
        group: the config group.
        nodes: name of each choice -> its config node.
        folders: more folders with config groups, beside conf/.
        replace: whether to replace stored nodes; to store all models again took 10 % of composing.
    """
    kept = set() if replace else _stored_names(group)
    for name in nodes.keys() - _file_names(group, folders) - kept:
        ConfigStore.instance().store(group=group, name=name, node=nodes[name])


def _stored_names(group: str) -> set[str]:
    """Return the choices of a group in Hydra's ConfigStore."""
    node: Any = ConfigStore.instance().repo
    for folder in group.split("/"):
        node = node.get(folder, {})
    return {str(name).removesuffix(".yaml") for name in node}


def _file_names(group: str, folders: Sequence[str]) -> set[str]:
    """Return the choices of a group that have a file in conf/ or in `folders`."""
    roots = (conf_folder(), *map(Path, folders))
    return {path.stem for root in roots for path in (root / group).glob("*.yaml")}


def plugin_node(kind: str, name: str) -> dict[str, Any]:
    """Return a config node with the parameters of a plugin's component, from its signature.

    Args:
        kind: kind of the component, such as `loss`.
        name: name of the component.

    Raises:
        UserError: the component can't be imported, or its annotations can't be read.
    """
    component = resolve(kind, table_of(kind), name)
    defaults = {
        key: parameter.default
        for key, parameter in inspect.signature(component).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    keys = keywords(component, _passed_by_kdrun(kind, name))
    node = {"name": name, **{key: defaults.get(key, "???") for key in keys}}
    if kind != "dataset":
        return node
    if getattr(component, "modality", "image") == "text":
        return {"defaults": ["_text", "_self_"], **node}
    return {"defaults": ["_base", "_self_"], "augment": _NO_AUGMENTATION, **node}


def _passed_by_kdrun(kind: str, name: str) -> tuple[str, ...]:
    """Return parameters of a component that kdrun passes itself, or that every dataset has."""
    if kind == "model":
        return (*import_module("kdrun.model").GIVEN, "name")
    if kind == "optimizer":
        return tuple(import_module("kdrun.engine.optimizers").GIVEN)
    if kind == "tokenizer":
        return import_module("kdrun.dataset.text.tokenizers.table").GIVEN
    if kind == "dataset":
        return import_module("kdrun.dataset.config_node").common_keys(name)
    return ()
