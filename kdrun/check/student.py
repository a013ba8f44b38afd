"""Checks the student of a config alone, for commands about a single network."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from kdrun.check import settings
from kdrun.check.data import data_info
from kdrun.check.networks import try_network
from kdrun.check.typed_config import read_config, sections
from kdrun.core.errors import ConfigError, Fault
from kdrun.core.faults import Faults
from kdrun.core.types import DataInfo


def check_network(
    tree: Mapping[str, Any], unknown: Iterable[str], earlier: Iterable[Fault]
) -> tuple[nn.Module, DataInfo]:
    """Build the student of a config for its dataset; read the dataset's files only if needed.

    Args:
        tree: the config as plain dicts and lists.
        unknown: config groups for which an unknown choice was typed.
        earlier: faults that were found before, to be reported together with the new ones.

    Returns:
        The network, and the description of the dataset.

    Raises:
        ConfigError: all faults of the student and the dataset.
    """
    faults, type_faults, info, network = Faults(), Faults(), None, None
    config = read_config(tree, type_faults)
    faults.extend(earlier)
    faults.extend(fault for fault in type_faults if sections([fault]) & {"student", "dataset"})
    sound = {"student", "dataset"} - set(unknown) - sections(type_faults)
    if "dataset" in sound:
        with faults.under():
            info = data_info(config.dataset, [config.student] if "student" in sound else [])
    if "student" in sound:
        settings.check_student(config, faults)
    if not faults and info is not None:
        network = try_network("student", config.student, info, faults)
    if faults or network is None or info is None:
        raise ConfigError(list(faults))
    return network, info
