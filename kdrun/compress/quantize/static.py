"""Static quantization: a network's graph with int8 layers, and activations that are rounded."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from torch import fx, nn

from kdrun.compress.calibrators import Grid
from kdrun.compress.fx_graph import Point, is_part, trace
from kdrun.compress.quantize.layers import Quantizer, Stored, form_of
from kdrun.compress.quantize.quantization_plan import is_split, source
from kdrun.compress.quantize.quantized_network import keep_roles
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.core.errors import UserError
from kdrun.core.unknown import nearest

QUANTIZERS = "quantizers"  # where a network has those of its activations


def quantize(
    network: nn.Module,
    layers: Sequence[str],
    after: Sequence[str],
    activations: Mapping[str, Any],
    weights: Mapping[str, Any],
) -> nn.Module:
    """A copy with the structure of a quantized network, whose int8 weights have no meaning.

    Modules keep their paths, and can be tapped; quantizers stand below `quantizers`, each under
    the name of the graph's node that it follows.

    Args:
        network: with its norms folded if they were when its plan was made.
        layers: as in `Plan`.
        after: as in `Plan`.
        activations: `{bits, symmetric}`.
        weights: `{bits, symmetric, per_channel}`.

    Raises:
        UserError: the network can't be traced, or is not the one that these names are from.
    """
    network = deepcopy(network)
    graph = trace(network)
    nodes = {node.name: node for node in graph.nodes}
    _check_names(layers, dict(network.named_modules()), "layer")
    _check_names(after, nodes, "operator")
    how = WeightGrid.of(**weights)
    parts = {
        str(node.target): _part(network, node, layers, how)
        for node in graph.nodes
        if node.op in ("call_module", "get_attr")
    }
    device = next(network.parameters()).device
    parts |= {f"{QUANTIZERS}.{name}": Quantizer(Grid(**activations)).to(device) for name in after}
    modules = dict(network.named_modules())
    for node, rounding in [(node, _rounding(node, after, modules)) for node in graph.nodes]:
        if rounding is not None:
            _insert(graph, node, f"{QUANTIZERS}.{rounding.name}")
    made = fx.GraphModule(parts, graph)
    return keep_roles(network, made.train(network.training))


def quantizers(network: nn.Module) -> dict[str, Quantizer]:
    """The quantizers of a network, by the name of the node that each follows."""
    start = f"{QUANTIZERS}."
    return {
        path.removeprefix(start): module
        for path, module in network.named_modules()
        if isinstance(module, Quantizer)
    }


# Any: modules, parameters and buffers alike.
def _part(network: nn.Module, node: fx.Node, layers: Sequence[str], how: WeightGrid) -> Any:
    path = str(node.target)
    if node.op == "get_attr":
        above, _, name = path.rpartition(".")
        return getattr(network.get_submodule(above), name)
    if is_part(node):
        return Point()
    # Any: nn.Module's own attributes are typed as tensors or modules alike.
    module: Any = network.get_submodule(path)
    return Stored(form_of(module), how).to(module.weight.device) if path in layers else module


def _rounding(
    node: fx.Node, after: Sequence[str], modules: Mapping[str, nn.Module]
) -> fx.Node | None:
    """The node that gives the quantizer its name which follows this node; None where none does.

    Parts of a tensor are rounded again, which changes nothing: runtimes want to see it.
    """
    known = node.name in after or is_split(node, modules)
    return source(node, after, modules) if known else None


def _insert(graph: fx.Graph, node: fx.Node, path: str) -> None:
    """Let all that read a node read what the module at this path makes of it."""
    with graph.inserting_after(node):
        added = graph.call_module(path, (node,))
    node.replace_all_uses_with(added, delete_user_cb=lambda user: user is not added)


def _check_names(names: Sequence[str], known: Mapping[str, Any], what: str) -> None:
    for name in names:
        if name not in known:
            close = nearest(name, known)
            raise UserError(
                f"a quantized network has the {what} {name!r}, and the one to quantize has not.",
                "  it was quantized as another network, or with another version of its library"
                + (f"; nearest: {close}" if close else ""),
            )
