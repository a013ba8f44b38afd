"""Composes nodes inside a config node, such as the terms of a combined loss.

`loss=attention` takes its values from the file `loss/attention.yaml`, and so does
`loss.terms={attention: {}}`. Hydra's loader composes both, so that files in a `--config-dir`,
`defaults:` lists and components of plugins work in both.
"""

from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import create_defaults_list
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from kdrun.config.choices import register_torchvision

# Dotted config key -> the config group of the nodes under this key: a single node, a mapping from
# names to nodes, or a list of nodes.
SINGLE = {
    "compress.calibrator": "calibrator",
    "evaluate.protocol": "protocol",
    **{f"{key}.tokenizer": "dataset/tokenizer" for key in ("dataset", "teacher", "student")},
}
_MAPPINGS = {"loss.terms": "loss"}
_LISTS = {f"scheme.{key}": "model" for key in ("assistants", "peers", "others")}


def complete_inner_nodes(config: DictConfig, loader: ConfigLoaderImpl) -> None:
    """Add the values of the group file to each inner node of a config, in place.

    Values in the node take precedence over the file. A node may be just a name, such as `minmax`. A
    name without a file is kept: the check of the config reports it.

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
    """Return a node with the values of its group file where the node has no value.

    Args:
        group: the config group that has the file.
        node: the node in the config, or just its name.
        loader: Hydra's config loader.
        key: the name of the node if the node has no key `name`.
    """
    node = OmegaConf.create({"name": node}) if isinstance(node, str) else node
    name = node.get("name", key) if isinstance(node, DictConfig) else None
    if name is None:
        return node
    values = _compose(group, str(name), loader)
    if values is None:
        return OmegaConf.merge({"name": name}, node)
    changes = OmegaConf.masked_copy(node, [key for key in node if key != "name"])
    return OmegaConf.merge({"name": name}, values, changes)


def _compose(group: str, name: str, loader: ConfigLoaderImpl) -> DictConfig | None:
    """Compose the node that `group=name` selects; None if the group has no such choice."""
    path = f"{group}/{name}"
    is_choice = loader.repository.config_exists(path)
    if not is_choice and not (group == "model" and register_torchvision(group, name)):
        return None
    files = loader.repository
    defaults = create_defaults_list(files, path, [], prepend_hydra=False, skip_missing=False)
    composed = loader._compose_config_from_defaults_list(defaults.defaults, files)
    node = OmegaConf.select(composed, group.replace("/", "."))
    return node if isinstance(node, DictConfig) else OmegaConf.create({})
