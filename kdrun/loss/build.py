"""A loss from its config node."""

from collections.abc import Mapping
from typing import Any

from kdrun.core.registry import resolve
from kdrun.loss.base import Loss
from kdrun.loss.table import LOSSES, WRAPPERS


def build_loss(node: Mapping[str, Any]) -> Loss:
    """The loss that a checked node describes, not bound yet."""
    settings = {key: value for key, value in node.items() if key != "name"}
    return resolve("loss", {**LOSSES, **WRAPPERS}, node["name"])(**settings)
