"""Nodes inside a config node, such as the terms of a combined loss, composed by Hydra.

`loss=attention` takes its values from the file `loss/attention.yaml`, and so does
`loss.terms={attention: {}}`. The same loader composes both, so that files in a `--config-dir`,
`defaults:` lists and parts of plugins work in both.
"""

from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import create_defaults_list
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from kdrun.config.choices import offer_torchvision

# Dotted key of the config -> the config group of what it holds.
SINGLE = {"compress.calibrator": "calibrator", "evaluate.protocol": "protocol"}
_MAPPINGS = {"loss.terms": "loss"}  # name -> node
_LISTS = {f"scheme.{key}": "model" for key in ("assistants", "peers", "others")}


def complete_inner_nodes(config: DictConfig, loader: ConfigLoaderImpl) -> None:
    """Give each inner node of a config, in place, the values of its group file.

    Values that the node has already stay. A node may be given by its name alone. A name without a
    file is left for the check, which refuses it.

    Raises:
        hydra.errors.HydraException: a file can't be composed.
    """
    with open_dict(config):
        for key, group in {**SINGLE, **_MAPPINGS, **_LISTS}.items():
            parent = OmegaConf.select(config, key.partition(".")[0])
            value = OmegaConf.select(config, key) if isinstance(parent, DictConfig) else None
            if key in SINGLE:
                value = _complete(group, value, loader)
            elif key in _MAPPINGS and isinstance(value, DictConfig):
                value = {name: _complete(group, value[name], loader, name) for name in value}
            elif key in _LISTS and isinstance(value, ListConfig):
                value = [_complete(group, node, loader) for node in value]
            else:
                continue
            if value is not None:
                OmegaConf.update(config, key, value, merge=False)


def _complete(group: str, node: Any, loader: ConfigLoaderImpl, key: Any = None) -> Any:
    """A node, or its name alone, laid over the values of its group file.

    Args:
        group: the config group that has the file.
        node: what the config says.
        loader: of config files.
        key: the name of a node that does not say it.
    """
    node = OmegaConf.create({"name": node}) if isinstance(node, str) else node
    name = node.get("name", key) if isinstance(node, DictConfig) else None
    if name is None:
        return node
    values = _compose(group, str(name), loader)
    if values is None:
        return OmegaConf.merge({"name": name}, node)
    changes = OmegaConf.masked_copy(node, [one for one in node if one != "name"])
    return OmegaConf.merge({"name": name}, values, changes)


def _compose(group: str, name: str, loader: ConfigLoaderImpl) -> DictConfig | None:
    """The node that `group=name` stands for; None where there is no such choice."""
    path = f"{group}/{name}"
    is_choice = loader.repository.config_exists(path)
    if not is_choice and not (group == "model" and offer_torchvision(group, name)):
        return None
    files = loader.repository
    defaults = create_defaults_list(files, path, [], prepend_hydra=False, skip_missing=False)
    composed = loader._compose_config_from_defaults_list(defaults.defaults, files)
    node = OmegaConf.select(composed, group)
    return node if isinstance(node, DictConfig) else OmegaConf.create({})
