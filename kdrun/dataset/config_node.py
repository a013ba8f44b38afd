"""Checks a dataset's config node against the common keys and its reader's parameters."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from pydantic import create_model

from kdrun.core.errors import ConfigError, Fault, UserError
from kdrun.core.registry import check_model, keywords, resolve, settings_of
from kdrun.dataset.image.settings import ImageSettings
from kdrun.dataset.table import DATASETS

KEYS = tuple(ImageSettings.model_fields)  # the keys that every image dataset has


def check_settings(node: Mapping[str, Any]) -> list[Fault]:
    """Return the faults of a node: its name, unknown or missing keys, values out of range."""
    try:
        model = _model(str(node.get("name")))
    except UserError as error:
        return [Fault("dataset", str(error))]
    return check_model("dataset", settings_of(node), model, repr(node["name"]))


def read_settings(node: Mapping[str, Any]) -> tuple[ImageSettings, dict[str, Any]]:
    """Return the typed settings of a faultless node, and the arguments of its reader."""
    settings = _model(node["name"]).model_validate(settings_of(node))
    reader = resolve("dataset", DATASETS, node["name"])
    return settings, {key: getattr(settings, key) for key in keywords(reader)}


def valid_settings(node: Mapping[str, Any]) -> tuple[ImageSettings, dict[str, Any]]:
    """Check a node, then return the result of `read_settings`.

    Raises:
        ConfigError: the node has faults.
    """
    faults = check_settings(node)
    if faults:
        raise ConfigError(faults)
    return read_settings(node)


def _model(name: str) -> type[ImageSettings]:
    """Return a model of the common keys and the reader's parameters, whose types have priority."""
    return _model_of(resolve("dataset", DATASETS, name))


@lru_cache(maxsize=64)  # each job of a sweep is checked
def _model_of(reader: Callable[..., Any]) -> type[ImageSettings]:
    parameters: dict[str, Any] = {key: (kind, ...) for key, kind in keywords(reader).items()}
    return create_model("Dataset", __base__=ImageSettings, **parameters)
