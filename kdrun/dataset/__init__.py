"""Datasets, their splits and batches; heavy packages are imported only where they are used."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdrun.core.errors import Fault
    from kdrun.core.types import DataInfo
    from kdrun.dataset.data import Data


def check(node: Mapping[str, Any]) -> "list[Fault]":
    """Return the faults of a dataset's config node, without reading files."""
    from kdrun.dataset.config_node import check_settings

    return check_settings(node)


def preview(node: Mapping[str, Any]) -> "DataInfo | None":
    """Describe a dataset to networks without reading its files; None if only the files tell.

    Raises:
        ConfigError: the node has faults.
    """
    from kdrun.dataset.config_node import valid_settings
    from kdrun.dataset.modality import modality_of

    settings, _ = valid_settings(node)
    return modality_of(node["name"]).function("outline")(settings)


def load(node: Mapping[str, Any], tokenizers: Sequence[Mapping[str, Any]] = ()) -> "Data":
    """Read the dataset that a config node describes into host memory, split as the node says.

    Args:
        node: the config node of the dataset.
        tokenizers: the config nodes of tokenizers by which texts are encoded beside that of the
            dataset, because networks have them.

    Raises:
        ConfigError: the node has faults, or settings don't fit the dataset's content.
        UserError: files are missing, damaged or unusable.
    """
    from kdrun.dataset.assemble import assemble

    return assemble(node, tokenizers)
