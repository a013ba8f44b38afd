"""Checks a dataset's config node against the common keys and its reader's parameters."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from pydantic import create_model

from kdrun.core.errors import ConfigError, Fault, UserError
from kdrun.core.registry import check_model, keywords, resolve, settings_of
from kdrun.dataset.modality import modality_of
from kdrun.dataset.settings import Common
from kdrun.dataset.table import DATASETS
from kdrun.task import task_of


def common_keys(name: str) -> tuple[str, ...]:
    """Return the keys that every dataset of a dataset's modality has."""
    return tuple(_settings_class(name).model_fields)


def check_settings(node: Mapping[str, Any]) -> list[Fault]:
    """Return the faults of a node: its name, unknown or missing keys, values out of range."""
    try:
        model = _model(str(node.get("name")))
    except UserError as error:
        return [Fault("dataset", str(error))]
    faults = check_model("dataset", settings_of(node), model, repr(node["name"]))
    if not faults:
        try:
            task_of(node)
        except UserError as error:
            faults = [Fault("dataset.task", str(error))]
    check = modality_of(node["name"]).check
    return faults or (resolve("check", {"check": check}, "check")(node) if check else [])


def read_settings(node: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the settings of a faultless node, and the arguments of its reader.

    The settings are of the class of the dataset's modality.
    """
    settings = _model(node["name"]).model_validate(settings_of(node))
    reader = resolve("dataset", DATASETS, node["name"])
    return settings, {key: getattr(settings, key) for key in keywords(reader)}


def valid_settings(node: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Check a node, then return the result of `read_settings`.

    Raises:
        ConfigError: the node has faults.
    """
    faults = check_settings(node)
    if faults:
        raise ConfigError(faults)
    return read_settings(node)


def _settings_class(name: str) -> type[Common]:
    """Return the class of the keys that every dataset of a dataset's modality has."""
    settings: Any = modality_of(name).function("settings")
    return settings


def _model(name: str) -> type[Common]:
    """Return a model of the common keys and the reader's parameters, whose types have priority."""
    return _model_of(resolve("dataset", DATASETS, name), _settings_class(name))


@lru_cache(maxsize=64)  # each job of a sweep is checked
def _model_of(reader: Callable[..., Any], settings: type[Common]) -> type[Common]:
    parameters: dict[str, Any] = {key: (kind, ...) for key, kind in keywords(reader).items()}
    return create_model("Dataset", __base__=settings, **parameters)
