"""A loss from its config node."""

from collections.abc import Mapping
from typing import Any

from kdrun.core.registry import build
from kdrun.loss.base import Loss
from kdrun.loss.table import LOSSES, WRAPPERS


def build_loss(node: Mapping[str, Any]) -> Loss:
    """The loss that a checked node describes, not bound yet."""
    return build("loss", {**LOSSES, **WRAPPERS}, node)
