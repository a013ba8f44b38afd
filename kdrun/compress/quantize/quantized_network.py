"""What quantization answers, whichever way it was done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn

from kdrun.compress.layer_glob import fitting
from kdrun.compress.structure_changes import Ranges


@dataclass(frozen=True)
class Quantized:
    """A quantized network and how to rebuild it.

    Attributes:
        network: with weights as whole numbers.
        change: the plain record that gives the unquantized network this structure.
        notes: what was left in float and what looked odd, in sentences.
        ranges: of each activation that was calibrated, what was seen and what is kept of it.
    """

    network: nn.Module
    change: dict[str, Any]
    notes: tuple[str, ...]
    ranges: Ranges = field(default_factory=dict)


def layers_in_float(network: nn.Module, kinds: tuple[type, ...]) -> list[str]:
    """Paths of modules that are of these kinds exactly, and have float weights."""
    return [
        path
        for path, module in network.named_modules(remove_duplicate=False)
        if type(module) in kinds and module.weight.is_floating_point()
    ]


def chosen(
    network: nn.Module, kinds: tuple[type, ...], layers: str | Sequence[str], what: str
) -> list[str]:
    """Those of `layers_in_float` whose paths fit a glob, or are in a list.

    Raises:
        UserError: none fits the glob; `what` says what was looked for.
    """
    known = layers_in_float(network, kinds)
    if isinstance(layers, str):
        return fitting(known, layers, what)
    return [path for path in known if path in layers]


def replace(network: nn.Module, new: Mapping[str, nn.Module]) -> None:
    """Put modules at their paths; the network itself stands at none."""
    for path, module in new.items():
        above, _, name = path.rpartition(".")
        setattr(network.get_submodule(above), name, module)


def keep_roles(network: nn.Module, made: nn.Module) -> nn.Module:
    """A network with the family's name and the roles of another; copies of a graph forget both."""
    if isinstance(made, fx.GraphModule):  # each of which has a class of its own
        type(made).__name__ = type(network).__name__
    if hasattr(network, "roles"):
        made.roles = network.roles
    return made


def left_in_float(network: nn.Module, replaced: Iterable[str]) -> tuple[str, ...]:
    """Which share of the weights is not in these modules, as a sentence, where it is not small."""
    inside = tuple(f"{path}." for path in replaced)
    sizes = {name: weight.numel() for name, weight in network.named_parameters()}
    left = {name: size for name, size in sizes.items() if not name.startswith(inside)}
    share = sum(left.values()) / max(1, sum(sizes.values()))
    if share < 0.05:
        return ()
    largest = max(left, key=lambda name: left[name])
    return (f"{share:.0%} of the weights stay in float, of which {largest!r} has the most",)
