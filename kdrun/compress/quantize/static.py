"""Static quantization: int8 layers, and activations rounded to calibrated grids."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from torch import fx, nn

from kdrun.compress.fx_graph import ModuleMarker, is_marker, trace_graph
from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.layer_operation import operation_of
from kdrun.compress.quantize.layers import ActivationQuantizer, Int8Layer
from kdrun.compress.quantize.layerwise import layerwise_structure
from kdrun.compress.quantize.operator_kinds import is_split_output
from kdrun.compress.quantize.quantization_plan import rounding_of
from kdrun.compress.quantize.quantized_network import copy_class_name_and_roles
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.core.errors import UserError
from kdrun.core.unknown import nearest

QUANTIZERS = "quantizers"  # the attribute of a quantized network that holds its quantizers


def static_structure(
    network: nn.Module,
    layers: Sequence[str],
    after: Sequence[str],
    activations: Mapping[str, Any],
    weights: Mapping[str, Any],
) -> nn.Module:
    """Return a copy with the structure of a statically quantized network; int8 weights are all 0.

    Modules keep their paths, so taps work as before. The quantizers are submodules below
    `quantizers`, named after the graph nodes whose outputs they round; without such nodes each
    layer has its own.

    Args:
        network: the network; its norms are folded if they were when its plan was made.
        layers: `QuantizationPlan.layers`.
        after: `QuantizationPlan.rounded`.
        activations: the arguments of a `QuantizationGrid`.
        weights: the arguments of `WeightGrid.of`.

    Raises:
        UserError: the network can't be traced, or has no such layer or graph node.
    """
    network = deepcopy(network)
    grid, weight_grid = QuantizationGrid(**activations), WeightGrid.of(**weights)
    if not after:
        _check_names(layers, dict(network.named_modules()), "layer")
        return layerwise_structure(network, layers, grid, weight_grid)
    graph = trace_graph(network)
    nodes = {node.name: node for node in graph.nodes}
    _check_names(layers, dict(network.named_modules()), "layer")
    _check_names(after, nodes, "operator")
    attributes = {
        str(node.target): _attribute(network, node, layers, weight_grid)
        for node in graph.nodes
        if node.op in ("call_module", "get_attr")
    }
    device = next(network.parameters()).device
    attributes |= {f"{QUANTIZERS}.{name}": ActivationQuantizer(grid).to(device) for name in after}
    modules = dict(network.named_modules())
    for node, quantizer in [(node, _quantizer_name(node, after, modules)) for node in graph.nodes]:
        if quantizer is not None:
            _insert_call(graph, node, f"{QUANTIZERS}.{quantizer}")
    quantized = fx.GraphModule(attributes, graph)
    return copy_class_name_and_roles(network, quantized.train(network.training))


def activation_quantizers(network: nn.Module) -> dict[str, ActivationQuantizer]:
    """Return the quantizers by the names of the graph nodes whose outputs they round.

    A layer that rounds its own input has a quantizer by the layer's path.
    """
    prefix, suffix = f"{QUANTIZERS}.", ".quantizer"
    return {
        path.removeprefix(prefix).removesuffix(suffix): module
        for path, module in network.named_modules()
        if isinstance(module, ActivationQuantizer)
    }


def input_quantizers(network: nn.Module) -> dict[str, ActivationQuantizer]:
    """Return path of an int8 layer -> the quantizer that rounds its input."""
    modules = dict(network.named_modules())
    if not isinstance(network, fx.GraphModule):
        layers = {path: layer for path, layer in modules.items() if isinstance(layer, Int8Layer)}
        return {path: layer.quantizer for path, layer in layers.items() if layer.quantizer}
    quantizers = {}
    for node in network.graph.nodes:
        if node.op != "call_module" or not isinstance(modules[str(node.target)], Int8Layer):
            continue
        source = node.all_input_nodes[0]
        while True:
            module = modules[str(source.target)] if source.op == "call_module" else None
            if isinstance(module, ActivationQuantizer):
                break
            # Nodes between quantizer and layer only move values, so their input is followed.
            marker = isinstance(module, ModuleMarker)
            source = source.args[1] if marker else source.all_input_nodes[0]
        quantizers[str(node.target)] = module
    return quantizers


# Any: a module, parameter or buffer.
def _attribute(
    network: nn.Module, node: fx.Node, layers: Sequence[str], weight_grid: WeightGrid
) -> Any:
    """Return the module, parameter or buffer of the quantized network at a node's path."""
    path = str(node.target)
    if node.op == "get_attr":
        parent, _, name = path.rpartition(".")
        return getattr(network.get_submodule(parent), name)
    if is_marker(node):
        return ModuleMarker()
    # Any, as mypy takes each attribute of an nn.Module for a tensor or a module.
    module: Any = network.get_submodule(path)
    if path not in layers:
        return module
    return Int8Layer(operation_of(module), weight_grid).to(module.weight.device)


def _quantizer_name(
    node: fx.Node, rounded: Sequence[str], modules: Mapping[str, nn.Module]
) -> str | None:
    """Return the name of the quantizer to insert after a node; None to insert none.

    The outputs of a split are rounded again by the quantizer of the tensor that was split. This
    changes no value, but runtimes need it to run the following layers as int8.
    """
    if node.name not in rounded and not is_split_output(node, modules):
        return None
    source = rounding_of(node, rounded, modules)
    return None if source is None else source.name


def _insert_call(graph: fx.Graph, node: fx.Node, path: str) -> None:
    """Insert a call of a module on a node's output, which all users of the output then use."""
    with graph.inserting_after(node):
        call = graph.call_module(path, (node,))
    node.replace_all_uses_with(call, delete_user_cb=lambda user: user is not call)


def _check_names(names: Sequence[str], known: Mapping[str, Any], what: str) -> None:
    for name in names:
        if name not in known:
            close = ", ".join(nearest(name, known))
            raise UserError(
                f"a quantized network has the {what} {name!r}, which this network does not have.",
                "  it was quantized as another network, or with another version of its library"
                + (f"; nearest: {close}" if close else ""),
            )
