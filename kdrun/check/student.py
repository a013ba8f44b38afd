"""The student of a config alone, for commands that look at one network."""

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
    tree: Mapping[str, Any], unknown: Iterable[str], known: Iterable[Fault]
) -> tuple[nn.Module, DataInfo]:
    """Build the student of a config for its dataset, whose files are read only if needed.

    Args:
        tree: the config as plain dicts and lists.
        unknown: keys whose choice is unknown.
        known: faults that are found already, to be reported with the others.

    Raises:
        ConfigError: all faults of the student and the dataset.
    """
    faults, of_types, info, network = Faults(), Faults(), None, None
    config = read_config(tree, of_types)
    faults.extend(known)
    faults.extend(fault for fault in of_types if sections([fault]) & {"student", "dataset"})
    sound = {"student", "dataset"} - set(unknown) - sections(of_types)
    if "dataset" in sound:
        with faults.under():
            info = data_info(config.dataset)
    if "student" in sound:
        settings.check_student(config, faults)
    if not faults and info is not None:
        network = try_network("student", config.student, info, faults)
    if faults or network is None or info is None:
        raise ConfigError(list(faults))
    return network, info
