"""Configs of runs that an older kdrun began."""

from collections.abc import Mapping
from typing import Any

import yaml
from omegaconf import OmegaConf

from kdrun.config.choices import conf_folder
from kdrun.config.inner_nodes import complete_inner_nodes
from kdrun.config.loader import make_loader


def with_new_keys(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded config with today's default values of the keys that it does not have.

    Args:
        tree: what `config.yaml` of a run folder holds: all values are resolved.
    """
    base = yaml.safe_load((conf_folder() / "config.yaml").read_text(encoding="utf-8"))
    steps = yaml.safe_load((conf_folder() / "compress/_base.yaml").read_text(encoding="utf-8"))
    base = {key: value for key, value in base.items() if key not in ("defaults", "hydra")}
    groups = {
        "compress": {**steps, "steps": []},
        "teacher_outputs": {"name": "off"},
        "dataset": {"original": None},
    }
    return _complete(_merge({**base, **groups}, tree))


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping laid over another; where both have mappings under a key, these too."""
    inner = {
        key: _merge(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return {**below, **above, **inner}


def _complete(tree: dict[str, Any]) -> dict[str, Any]:
    """Complete the inner nodes, which an older kdrun recorded as they were typed."""
    config = OmegaConf.create(tree)
    complete_inner_nodes(config, make_loader())
    completed = OmegaConf.to_container(config, resolve=False)
    assert isinstance(completed, dict)
    return {str(key): value for key, value in completed.items()}
