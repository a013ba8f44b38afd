"""The datasets, their splits, and batches of them; nothing heavy is imported before it is used."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdrun.core.errors import Fault
    from kdrun.core.types import DataInfo
    from kdrun.dataset.data import Data


def check(node: Mapping[str, Any]) -> "list[Fault]":
    """The faults of a dataset's config node; its files are not looked at."""
    from kdrun.dataset.settings import check_settings

    return check_settings(node)


def preview(node: Mapping[str, Any]) -> "DataInfo | None":
    """What networks are told of a dataset, without its files; None where only these know.

    Raises:
        ConfigError: faults of the node.
    """
    from kdrun.dataset.outline import outline

    return outline(node)


def load(node: Mapping[str, Any]) -> "Data":
    """Read the dataset that a config node describes, split as it says, into host memory.

    Raises:
        ConfigError: faults of the node, on its own or beside what the dataset holds.
        UserError: files that are missing, damaged or of no use.
    """
    from kdrun.dataset.assemble import assemble

    return assemble(node)
