"""The result of quantization, and what its three kinds share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn

from kdrun.compress.layer_glob import match_layers
from kdrun.compress.structure_changes import ActivationRanges

_FEW = 0.05  # of the weights: so few in float are not worth a note


@dataclass(frozen=True)
class QuantizedNetwork:
    """A quantized network, and the record from which its structure is rebuilt.

    Attributes:
        network: has integer weights.
        change: the structure change that turns the network in float into this one.
        notes: sentences on what stays in float, and on what is unusual.
        ranges: the ranges of calibrated activations.
    """

    network: nn.Module
    change: dict[str, Any]
    notes: tuple[str, ...]
    ranges: ActivationRanges = field(default_factory=dict)


def float_layers(network: nn.Module, kinds: tuple[type, ...]) -> list[str]:
    """Paths of the layers with float weights whose class is one of `kinds`, not a subclass."""
    return [
        path
        for path, module in network.named_modules(remove_duplicate=False)
        if type(module) in kinds and module.weight.is_floating_point()
    ]


def select_float_layers(
    network: nn.Module, kinds: tuple[type, ...], layers: str | Sequence[str], description: str
) -> list[str]:
    """Those of `float_layers` that match a glob, or whose paths are listed.

    Args:
        network: is searched.
        kinds: classes of layers.
        layers: a glob of module paths, or a list of paths.
        description: what the message of an error calls such a layer.

    Raises:
        UserError: no layer matches the glob.
    """
    paths = float_layers(network, kinds)
    if isinstance(layers, str):
        return match_layers(paths, layers, description)
    return [path for path in paths if path in layers]


def replace_modules(network: nn.Module, modules: Mapping[str, nn.Module]) -> None:
    """Put each module at its path, in place of the module that is there."""
    for path, module in modules.items():
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, module)


def copy_class_name_and_roles(source: nn.Module, target: nn.Module) -> nn.Module:
    """Give a network the class name and the tap roles of another; a new GraphModule has neither."""
    if isinstance(target, fx.GraphModule):  # each GraphModule has its own class
        type(target).__name__ = type(source).__name__
    if hasattr(source, "roles"):
        target.roles = source.roles
    return target


def float_share_note(network: nn.Module, quantized: Iterable[str]) -> tuple[str, ...]:
    """A note with the share of weights that stay in float; none if it is below 5 %.

    Args:
        network: before quantization.
        quantized: paths of the quantized modules.
    """
    prefixes = tuple(f"{path}." for path in quantized)
    sizes = {name: weight.numel() for name, weight in network.named_parameters()}
    in_float = {name: size for name, size in sizes.items() if not name.startswith(prefixes)}
    share = sum(in_float.values()) / max(1, sum(sizes.values()))
    if share < _FEW:
        return ()
    largest = max(in_float, key=lambda name: in_float[name])
    return (f"{share:.0%} of the weights stay in float, of which {largest!r} has the most",)
