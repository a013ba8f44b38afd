"""`kdrun layers`: module paths, output shapes and roles (such as stages) in a network."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kdrun.config.command import read_command
from kdrun.config.compose import compose_runs
from kdrun.config.loader import install_named_plugins
from kdrun.core.errors import ConfigError, Fault, UserError
from kdrun.core.screen import Screen

if TYPE_CHECKING:
    from torch import nn

    from kdrun.core.types import DataInfo

_ROLES_OF_LAYERS = ("stages", "queries", "keys", "values")


def show_layers(words: Sequence[str], screen: Screen) -> int:
    """Run `kdrun layers model=NAME` and return the exit status.

    Raises:
        UserError: no word names a network.
        ConfigError: the settings of the network or the dataset have faults.
    """
    from kdrun.check.student import check_network

    if not any(word.startswith("model=") for word in words):
        raise UserError("which network?", "  kdrun layers model=resnet20 dataset=cifar10")
    command = read_command([_as_student_setting(word) for word in words])
    faults = install_named_plugins(command.settings, command.folders)
    (run,) = compose_runs(command.settings, multirun=False, folders=command.folders)
    try:
        network, info = check_network(run.tree, run.unknown_groups, [*faults, *run.faults])
    except ConfigError as error:
        raise ConfigError([_as_model_fault(fault) for fault in error.faults]) from error
    screen.say(_layer_table(network, info))
    return 0


def _layer_table(network: "nn.Module", info: "DataInfo") -> str:
    """Return a line for each module; lines are not wrapped, so that paths can be copied."""
    from kdrun import model
    from kdrun.core.taps import module_path, tap_shapes

    paths = [name for name, _ in network.named_modules() if name]
    shapes = tap_shapes(network, {path: path for path in paths}, info)
    role_taps = [
        (f"{role}[{number}]" if role in _ROLES_OF_LAYERS else role, tap)
        for role, taps in model.module_roles(network).items()
        for number, tap in enumerate(taps)
    ]
    rows = [("path", "module", "output", "role")]
    for path in paths:
        kind = type(network.get_submodule(path)).__name__
        roles = [
            f"{role} (its input)" if tap.endswith(":in") else role
            for role, tap in role_taps
            if module_path(tap) == path
        ]
        rows.append((path, kind, _shape(shapes.get(path)), ", ".join(roles)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _shape(shape: tuple[int, ...] | None) -> str:
    """Format a shape; its first dimension is the batch size B."""
    return "-" if shape is None else f"({', '.join(['B', *map(str, shape[1:])])})"


def _as_student_setting(word: str) -> str:
    """Replace `model` in a setting by `student`, which needs no source of weights."""
    key, equals, value = word.partition("=")
    if key == "model" or key.startswith("model."):
        return f"student{key.removeprefix('model')}{equals}{value}"
    return word


def _as_model_fault(fault: Fault) -> Fault:
    """Replace `student` in a fault by `model`, which the user typed."""
    key, dot, rest = fault.where.partition(".")
    where = f"model{dot}{rest}" if key == "student" else fault.where
    return Fault(where, fault.what.replace("no student is called", "no model is called"))
