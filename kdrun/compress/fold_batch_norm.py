"""Folds batch norms into the layers before them, which leaves outputs in eval mode the same."""

from collections import Counter
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from kdrun.compress.fx_graph import consumers, has_graph, is_marker, marked_output, trace_graph

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class FoldablePair(NamedTuple):
    """The module paths of a layer and of the batch norm that can be folded into it."""

    layer: str
    norm: str


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Return a copy in which batch norms are folded into the layers before them.

    The layers are convolutions or linear. In evaluation mode outputs are the same up to rounding.
    An `nn.Identity` takes the place of each norm, so that module paths stay. Norms that can't be
    folded stay as they are.

    Raises:
        UserError: the network can't be traced.
    """
    folded = deepcopy(network)
    for layer, norm in foldable_pairs(folded):
        fold_pair(folded, layer, norm)
    return folded


def foldable_pairs(network: nn.Module) -> list[FoldablePair]:
    """Return the layers whose output only a batch norm reads, each with that norm.

    Layer and norm are called once, and no other module shares the layer's weight. A network without
    a graph has no such pair.

    Raises:
        UserError: the network can't be traced.
    """
    if not has_graph(network):
        return []
    graph, modules = trace_graph(network), dict(network.named_modules())
    calls = [node for node in graph.nodes if node.op == "call_module"]
    times_called = Counter(node.target for node in calls)
    times_used = Counter(_parameters_of_each_module(network))
    pairs = []
    for node in calls:
        source = _exclusive_input(node)
        if source is None or source.op != "call_module":
            continue
        layer, norm = modules[str(source.target)], modules[str(node.target)]
        once = times_called[source.target] == times_called[node.target] == 1
        if once and _can_fold(layer, norm) and times_used[layer.weight] == 1:
            pairs.append(FoldablePair(str(source.target), str(node.target)))
    return pairs


def _exclusive_input(node: fx.Node) -> fx.Node | None:
    """Return the operator whose output only this node reads; None if there are other readers.

    A marker node after the operator, which marks the output of a module, is skipped.
    """
    source = node.all_input_nodes[0] if node.all_input_nodes else None
    while source is not None and len(consumers(source)) == 1:
        if not is_marker(source):
            return source
        source = marked_output(source)
    return None


def fold_pair(network: nn.Module, layer_path: str, norm_path: str) -> None:
    """Fold a batch norm into a layer, in place.

    With the norm's scale g, shift c, running mean m and s = sqrt(running variance + eps), the
    layer's weight w becomes w g / s and its bias b becomes (b - m) g / s + c.
    """
    # Any, as mypy takes each attribute of an nn.Module for a tensor or a module.
    layer: Any = network.get_submodule(layer_path)
    norm: Any = network.get_submodule(norm_path)
    statistics = (norm.running_mean, norm.running_var, norm.eps)
    affine = norm.weight, norm.bias
    if isinstance(layer, nn.Linear):
        if not norm.affine:
            affine = torch.ones_like(norm.running_var), torch.zeros_like(norm.running_var)
        fused = fuse_linear_bn_weights(layer.weight, layer.bias, *statistics, *affine)
    else:
        fused = fuse_conv_bn_weights(layer.weight, layer.bias, *statistics, *affine)
    layer.weight, layer.bias = fused
    network.set_submodule(norm_path, nn.Identity())


def _parameters_of_each_module(network: nn.Module) -> list[nn.Parameter]:
    """Return the direct parameters of all modules; a shared one appears once for each module."""
    return [
        parameter for module in network.modules() for parameter in module.parameters(recurse=False)
    ]


def _can_fold(layer: nn.Module, norm: nn.Module) -> bool:
    if not isinstance(norm, _BatchNorm) or norm.running_mean is None:
        return False
    # After a linear layer with output (B, N, C), the norm's channels are N, not the features C.
    if type(layer) is nn.Linear:
        return layer.out_features == norm.num_features
    return type(layer) in _CONVOLUTIONS
