"""What can be chosen by name: conf/, and parts that have no file there."""

import inspect
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from hydra.core.config_store import ConfigStore

from kdrun.core.plugins import TABLES
from kdrun.core.registry import resolve
from kdrun.core.unknown import unknown_name

ROLES = ("teacher", "student")
_GENERIC = "torchvision"  # the file that stands for each torchvision name without its own
NAMED = ("compress.calibrator", "evaluate.protocol")  # given by name, or whole with its keys
NETWORKS = ("assistants", "peers", "others")  # keys of schemes that hold lists of models
_GROUPS = {"MODELS": ROLES, "LOSSES": ("loss",), "SCHEMES": ("scheme",), "DATASETS": ("dataset",)}


def conf_folder() -> Path:
    """conf/ beside the package when installed from a wheel, else the checkout's."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def offer_models(folders: Sequence[str] = ()) -> None:
    """Make each file of conf/model, and of model/ in more folders, a choice of both roles."""
    for folder in (conf_folder(), *map(Path, folders)):
        for path in (folder / "model").glob("*.yaml"):
            for role in ROLES:
                _offer(role, path.stem, {"defaults": [f"/model/{path.stem}@_here_"]})


def offer_steps() -> None:
    """Make each step of conf/step a choice of `compress` by itself."""
    for name in _steps():
        _offer("compress", name, _listed([name]))


def offer_listed(names: Sequence[str]) -> str:
    """Make steps in a row a choice of `compress`; what it is called.

    Raises:
        UserError: a step is not known.
    """
    known = _steps()
    for name in names:
        if name not in known:
            raise unknown_name("compression step", name, known, "kdrun list steps")
    choice = "+".join(names)
    _offer("compress", choice, _listed(names))
    return choice


def _steps() -> list[str]:
    return sorted(path.stem for path in (conf_folder() / "step").glob("*.yaml"))


def _listed(names: Sequence[str]) -> dict[str, Any]:
    """The node of steps in a row; one that is there again has its number in its key."""
    keys: list[str] = []
    for name in names:
        before = sum(key.rstrip("0123456789") == name for key in keys)
        keys.append(f"{name}{before + 1}" if before else name)
    parts = [f"/step/{name}@{key}" for name, key in zip(names, keys, strict=True)]
    return {"defaults": ["_base", *parts, "_self_"], "steps": keys}


def offer_plugins() -> None:
    """Make parts of plugins choices: their keys are those of their builders' signatures."""
    for table, groups in _GROUPS.items():
        parts = getattr(import_module(TABLES[table]), table)
        files = {path.stem for path in (conf_folder() / _folder(table)).glob("*.yaml")}
        for name in parts.keys() - files:
            for group in groups:
                _offer(group, name, _plugin_node(table, parts, name))


def offer_by_name(role: str, name: str) -> bool:
    """Make a model without a file a choice, if there is a model of that name."""
    if name not in import_module("kdrun.model").names():
        return False
    _offer(role, name, {"defaults": [f"/model/{_GENERIC}@_here_", "_self_"], "name": name})
    return True


def filled(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A config whose inner nodes have their own files' values where none are given.

    They are the terms of a combined loss, the networks that a scheme adds, the calibrator, and
    the protocol of evaluation.
    """
    return {
        **tree,
        **_filled("loss", tree.get("loss"), {"terms": "loss"}),
        **_filled("scheme", tree.get("scheme"), dict.fromkeys(NETWORKS, "model")),
        **{
            key: {**tree[key], **_completed(tree[key], part)}
            for key, part in (place.split(".") for place in NAMED)
            if isinstance(tree.get(key), dict)
        },
    }


def as_of_today(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The config of an older kdrun's run, with today's values of keys that there were none of."""
    own = yaml.safe_load((conf_folder() / "config.yaml").read_text(encoding="utf-8"))
    base = yaml.safe_load((conf_folder() / "compress/_base.yaml").read_text(encoding="utf-8"))
    own = {key: value for key, value in own.items() if key not in ("defaults", "hydra")}
    groups = {
        "compress": {**base, "steps": []},
        "teacher_outputs": {"name": "off"},
        "dataset": {"original": None},
    }
    return _over({**own, **groups}, tree)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping laid over another; where both have mappings under a key, these too."""
    inner = {
        key: _over(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return {**below, **above, **inner}


def _completed(node: Mapping[str, Any], part: str) -> dict[str, Any]:
    """One of a node's parts, which may be a name alone, with all of its keys, under its key."""
    own = node.get(part)
    if own is None or (isinstance(own, dict) and "name" not in own):
        return {}
    return {part: _with_defaults(part, "", own)}


def _filled(key: str, node: Any, groups: Mapping[str, str]) -> dict[str, Any]:
    """A node whose lists and mappings of parts of these groups are filled in, under its key."""
    if not isinstance(node, dict):
        return {}
    return {
        key: {**node, **{k: _whole(group, node[k]) for k, group in groups.items() if k in node}}
    }


def _whole(group: str, parts: Any) -> Any:
    if isinstance(parts, dict):
        return {key: _with_defaults(group, key, node) for key, node in parts.items()}
    if isinstance(parts, list):
        return [_with_defaults(group, "", node) for node in parts]
    return parts


def _with_defaults(group: str, key: str, node: Any) -> Any:
    """A part's node, or its name alone, with what its file in conf/ says beside it."""
    given = {"name": node} if isinstance(node, str) else node
    if not isinstance(given, dict):
        return node
    name = given.get("name", key)
    path = conf_folder() / group / f"{name}.yaml"
    own = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {"name": name}
    return {**own, **given}


def _offer(group: str, name: str, node: dict[str, Any]) -> None:
    ConfigStore.instance().store(group=group, name=name, node=node)


def _folder(table: str) -> str:
    return "model" if table == "MODELS" else _GROUPS[table][0]


def _plugin_node(table: str, parts: dict[str, str], name: str) -> dict[str, Any]:
    """A config node from a signature: its default values, `???` where one must be given."""
    part = resolve(_folder(table), parts, name)
    given = _given(table)
    keys = {
        key: "???" if parameter.default is inspect.Parameter.empty else parameter.default
        for key, parameter in inspect.signature(part).parameters.items()
        if key not in given and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    if table != "DATASETS":
        return {"name": name, **keys}
    plain = {"crop": 0, "flip": False, "resized_crop": None}
    return {"defaults": ["_base", "_self_"], "name": name, "augment": plain, **keys}


def _given(table: str) -> tuple[str, ...]:
    """Parameters that kdrun passes itself, or that every dataset has."""
    if table == "MODELS":
        return (*import_module("kdrun.model").GIVEN, "name")
    common = import_module("kdrun.dataset.settings").Common.model_fields
    return tuple(common) if table == "DATASETS" else ()
