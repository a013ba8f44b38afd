"""Batch norms in evaluation as a part of the layer before them."""

from collections import Counter
from copy import deepcopy
from typing import Any

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from kdrun.compress.fx_graph import answer_of, is_part, readers, trace

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def fold(network: nn.Module) -> nn.Module:
    """A copy with each batch norm merged into the convolution or linear layer that it alone reads.

    In evaluation its answers are the same, but for rounding. An identity stands in the place of
    the norm, so that module paths stay. A network without such a pair is answered as it is.

    Raises:
        UserError: the network can't be traced.
    """
    folded = deepcopy(network)
    for layer, norm in pairs(folded):
        merge(folded, layer, norm)
    return folded


def pairs(network: nn.Module) -> list[tuple[str, str]]:
    """Paths of (layer, norm) where the norm alone reads the layer, and each is used once.

    Raises:
        UserError: the network can't be traced.
    """
    graph, modules = trace(network), dict(network.named_modules())
    calls = [node for node in graph.nodes if node.op == "call_module"]
    uses = Counter(node.target for node in calls)
    owners = Counter(_weights(network))
    found = []
    for node in calls:
        source = _alone_read(node)
        if source is None or source.op != "call_module":
            continue
        layer, norm = modules[str(source.target)], modules[str(node.target)]
        once = uses[source.target] == uses[node.target] == 1
        if once and _fit(layer, norm) and owners[layer.weight] == 1:
            found.append((str(source.target), str(node.target)))
    return found


def _alone_read(node: fx.Node) -> fx.Node | None:
    """The operator whose answer this one has for itself, maybe as that of a module around it."""
    source = node.all_input_nodes[0] if node.all_input_nodes else None
    while source is not None and len(readers(source)) == 1:
        if not is_part(source):
            return source
        source = answer_of(source)
    return None


def merge(network: nn.Module, layer_path: str, norm_path: str) -> None:
    """Fold a norm into a layer: w' = w g / s, b' = (b - m) g / s + c, s = sqrt(variance + eps)."""
    # Any: nn.Module's attributes are typed as tensors or modules, whatever they are.
    layer: Any = network.get_submodule(layer_path)
    norm: Any = network.get_submodule(norm_path)
    statistics = (norm.running_mean, norm.running_var, norm.eps)
    scaled = norm.weight, norm.bias
    if isinstance(layer, nn.Linear):
        if not norm.affine:
            scaled = torch.ones_like(norm.running_var), torch.zeros_like(norm.running_var)
        fused = fuse_linear_bn_weights(layer.weight, layer.bias, *statistics, *scaled)
    else:
        fused = fuse_conv_bn_weights(layer.weight, layer.bias, *statistics, *scaled)
    layer.weight, layer.bias = fused
    parent, _, name = norm_path.rpartition(".")
    setattr(network.get_submodule(parent), name, nn.Identity())


def _weights(network: nn.Module) -> list[nn.Parameter]:
    """Each module's parameters, those that several share as often as there are modules."""
    parameters = (module.parameters(recurse=False) for module in network.modules())
    return [weight for own in parameters for weight in own]


def _fit(layer: nn.Module, norm: nn.Module) -> bool:
    if not isinstance(norm, _BatchNorm) or norm.running_mean is None:
        return False
    # After a linear layer of (B, N, C) a norm is over N, and no part of its weights.
    if type(layer) is nn.Linear:
        return layer.out_features == norm.num_features
    return type(layer) in _CONVOLUTIONS
