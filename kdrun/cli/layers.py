"""`kdrun layers`: what a loss can read of a network, by path and by role."""

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


def show_layers(words: Sequence[str], screen: Screen) -> int:
    """`kdrun layers model=NAME dataset=NAME`: module paths, shapes and roles.

    Raises:
        ConfigError: faults of the network's or the dataset's settings.
    """
    from kdrun.check.student import check_network

    if not any(word.startswith("model=") for word in words):
        raise UserError("which network?", "  kdrun layers model=resnet20 dataset=cifar10")
    command = read_command([_as_student(word) for word in words])
    install_named_plugins(command.settings, command.folders)
    job = compose_runs(command.settings, multirun=False, folders=command.folders)[0]
    try:
        network, info = check_network(job.tree, job.unknown_groups, job.faults)
    except ConfigError as error:
        raise ConfigError([_of_model(fault) for fault in error.faults]) from error
    screen.say(_layers(network, info))
    return 0


def _layers(network: "nn.Module", info: "DataInfo") -> str:
    """One line a module, whole in any terminal: paths are there to be copied and searched."""
    from kdrun import model
    from kdrun.core.taps import module_path, tap_shapes

    paths = [name for name, _ in network.named_modules() if name]
    shapes = tap_shapes(network, {path: path for path in paths}, info)
    places = [
        (f"{role}[{number}]" if role == "stages" else role, place)
        for role, found in model.module_roles(network).items()
        for number, place in enumerate(found)
    ]
    rows = [("path", "module", "output", "role")]
    for path in paths:
        kind = type(network.get_submodule(path)).__name__
        told = [
            f"{role} (its input)" if place.endswith(":in") else role
            for role, place in places
            if module_path(place) == path
        ]
        rows.append((path, kind, _shape(shapes.get(path)), ", ".join(told)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "-" if shape is None else f"({', '.join(['B', *map(str, shape[1:])])})"


def _as_student(word: str) -> str:
    """A network is looked at as the student, the one that needs no source."""
    key, equals, value = word.partition("=")
    if key == "model" or key.startswith("model."):
        return f"student{key.removeprefix('model')}{equals}{value}"
    return word


def _of_model(fault: Fault) -> Fault:
    where = "model" + fault.where.removeprefix("student")
    asked = fault.where.partition(".")[0] == "student"
    what = fault.what.replace("no student is called", "no model is called")
    return Fault(where if asked else fault.where, what)
