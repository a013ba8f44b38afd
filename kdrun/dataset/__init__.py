"""The datasets, their splits, and batches of them; nothing heavy is imported before it is used."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdrun.core.errors import Fault
    from kdrun.core.types import DataInfo
    from kdrun.dataset.data import Data


def check(node: Mapping[str, Any]) -> "list[Fault]":
    """The faults of a dataset's config node; its files are not looked at."""
    from kdrun.dataset.config_node import check_settings

    return check_settings(node)


def preview(node: Mapping[str, Any]) -> "DataInfo | None":
    """What networks need to know about a dataset, without its files; None where only these tell.

    Raises:
        ConfigError: faults of the node.
    """
    from kdrun.dataset.config_node import valid_settings
    from kdrun.dataset.image.original import outline

    settings, _ = valid_settings(node)
    return outline(settings)


def load(node: Mapping[str, Any]) -> "Data":
    """Read the dataset that a config node describes into host memory, split as the node says.

    Raises:
        ConfigError: faults of the node, or settings that don't fit what the dataset holds.
        UserError: files that are missing, damaged or unusable.
    """
    from kdrun.dataset.assemble import assemble

    return assemble(node)
