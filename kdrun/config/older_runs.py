"""Reads the configs of runs: those that an older kdrun started are adapted."""

from collections.abc import Mapping
from typing import Any

import yaml
from omegaconf import OmegaConf

from kdrun.config.choices import conf_folder
from kdrun.config.environment_references import resolve_references, watch_environment
from kdrun.config.inner_nodes import complete_inner_nodes
from kdrun.config.loader import make_loader
from kdrun.task import CLASSIFICATION

# Keys that a loss has got since -> the values by which it does what it did without them.
_LOSS_KEYS = {"cat_kd": {"normalize": True}}


def with_new_keys(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Add the keys that a recorded config lacks, and resolve its environment variables.

    Args:
        tree: config from `config.yaml` of a run folder.

    Raises:
        UserError: an environment variable is not set.
    """
    watch_environment()
    tree = resolve_references(dict(tree))
    base = yaml.safe_load((conf_folder() / "config.yaml").read_text(encoding="utf-8"))
    steps = yaml.safe_load((conf_folder() / "compress/_base.yaml").read_text(encoding="utf-8"))
    base = {key: value for key, value in base.items() if key not in ("defaults", "hydra")}
    groups = {
        "compress": {**steps, "steps": []},
        "teacher_outputs": {"name": "off"},
        "dataset": {} if _has_task(tree) else {"original": None, "task": CLASSIFICATION},
        "recipe": {"repeat_labeled": False},
    }
    loss = {"loss": _with_loss_keys(tree["loss"])} if "loss" in tree else {}
    return _complete(_merge({**base, **groups}, {**tree, **loss}))


def _has_task(tree: Mapping[str, Any]) -> bool:
    """Return whether a run's dataset names its task; those that don't are all of images."""
    dataset = tree.get("dataset")
    return isinstance(dataset, dict) and "task" in dataset


def _with_loss_keys(node: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """Add the keys that a loss, or a loss in a sum of losses, has got since.

    Args:
        node: the config node of the loss.
        name: the name of the loss if the node has no key `name`.
    """
    completed = {**_LOSS_KEYS.get(node.get("name", name), {}), **node}
    if isinstance(node.get("terms"), dict):
        terms = node["terms"].items()
        completed["terms"] = {key: _with_loss_keys(term, key) for key, term in terms}
    return completed


def _merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings recursively; values of `override` take precedence."""
    inner = {
        key: _merge(base[key], value)
        for key, value in override.items()
        if isinstance(value, dict) and isinstance(base.get(key), dict)
    }
    return {**base, **override, **inner}


def _complete(tree: dict[str, Any]) -> dict[str, Any]:
    """Complete the inner nodes, which an older kdrun recorded without the values of their files."""
    config = OmegaConf.create(tree)
    complete_inner_nodes(config, make_loader())
    completed = OmegaConf.to_container(config, resolve=False)
    assert isinstance(completed, dict)
    return {str(key): value for key, value in completed.items()}
