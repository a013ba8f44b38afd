"""Functions that all three kinds of quantization use."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from torch import fx, nn

from kdrun.compress.layer_glob import match_layers
from kdrun.core.memory_format import contiguous_reason, keep_contiguous

Network = TypeVar("Network", bound=nn.Module)

_SIZES = (
    *("in_features", "out_features", "in_channels", "out_channels", "kernel_size", "stride"),
    *("num_embeddings", "embedding_dim", "padding_idx"),
)
_MIN_SHARE = 0.05  # share of the weights in float from which there is a note


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


def copy_class_name_and_roles(source: nn.Module, target: Network) -> Network:
    """Copy to a new GraphModule what it has not: class name, roles, encoding, memory format."""
    if isinstance(target, fx.GraphModule):  # each GraphModule has its own class
        type(target).__name__ = type(source).__name__
    for name in ("roles", "encoding"):
        if hasattr(source, name):
            setattr(target, name, getattr(source, name))
    keep_contiguous(target, contiguous_reason(source))
    return target


def copy_sizes(layer: nn.Module, quantized: nn.Module) -> None:
    """Copy the sizes of a layer, which the forward method of a network may read."""
    for name in _SIZES:
        if hasattr(layer, name):
            setattr(quantized, name, getattr(layer, name))


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
