"""Adapts the configs of runs that an older kdrun started."""

from collections.abc import Mapping
from typing import Any

import yaml
from omegaconf import OmegaConf

from kdrun.config.choices import conf_folder
from kdrun.config.inner_nodes import complete_inner_nodes
from kdrun.config.loader import make_loader


def with_new_keys(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Add the keys that a recorded config lacks, with their current default values.

    Args:
        tree: resolved config from `config.yaml` of a run folder.
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
