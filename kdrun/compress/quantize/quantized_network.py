"""The result of quantization, and functions that all three kinds of quantization use."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn

from kdrun.compress.layer_glob import match_layers
from kdrun.compress.structure_changes import ActivationRanges

_MIN_SHARE = 0.05  # share of the weights in float from which there is a note


@dataclass(frozen=True)
class QuantizedNetwork:
    """A quantized network, and the record from which its structure is rebuilt.

    Attributes:
        network: the network with integer weights.
        change: the structure change that turns the network in float into this one.
        notes: sentences on layers that stay in float, and on unusual activations.
        ranges: the ranges of calibrated activations.
    """

    network: nn.Module
    change: dict[str, Any]
    notes: tuple[str, ...]
    ranges: ActivationRanges = field(default_factory=dict)


def float_layers(network: nn.Module, kinds: tuple[type, ...]) -> list[str]:
    """Return paths of the layers with float weights whose class is exactly one of `kinds`."""
    return [
        path
        for path, module in network.named_modules(remove_duplicate=False)
        if type(module) in kinds and module.weight.is_floating_point()
    ]


def select_float_layers(
    network: nn.Module, kinds: tuple[type, ...], layers: str | Sequence[str], description: str
) -> list[str]:
    """Return those paths of `float_layers` that match a glob or are listed.

    Args:
        network: the network to search.
        kinds: classes of layers.
        layers: a glob of module paths, or a list of paths.
        description: the name of such a layer in error messages.

    Raises:
        UserError: no layer matches the glob.
    """
    paths = float_layers(network, kinds)
    if isinstance(layers, str):
        return match_layers(paths, layers, description)
    return [path for path in paths if path in layers]


def replace_modules(network: nn.Module, modules: Mapping[str, nn.Module]) -> None:
    """Replace the module at each path by another."""
    for path, module in modules.items():
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, module)


def copy_class_name_and_roles(source: nn.Module, target: nn.Module) -> nn.Module:
    """Copy the class name and the roles of taps to a new GraphModule, which has neither."""
    if isinstance(target, fx.GraphModule):  # each GraphModule has its own class
        type(target).__name__ = type(source).__name__
    if hasattr(source, "roles"):
        target.roles = source.roles
    return target


def float_share_note(network: nn.Module, quantized: Iterable[str]) -> tuple[str, ...]:
    """Return a note with the share of weights that stay in float; empty if it is below 5 %.

    Args:
        network: the network before quantization.
        quantized: paths of the quantized modules.
    """
    prefixes = tuple(f"{path}." for path in quantized)
    sizes = {name: weight.numel() for name, weight in network.named_parameters()}
    in_float = {name: size for name, size in sizes.items() if not name.startswith(prefixes)}
    share = sum(in_float.values()) / max(1, sum(sizes.values()))
    if share < _MIN_SHARE:
        return ()
    largest = max(in_float, key=lambda name: in_float[name])
    return (f"{share:.0%} of the weights stay in float, of which {largest!r} has the most",)
