"""Quantized networks in a form that learns, and back."""

from copy import deepcopy
from typing import TypeVar

import torch
from torch import fx, nn

from kdrun.compress.fx_graph import Point
from kdrun.compress.quantize.layers import Quantizer, Stored, Trainable
from kdrun.compress.quantize.quantized_network import keep_roles, replace

M = TypeVar("M", bound=nn.Module)


def trainable(network: nn.Module) -> nn.Module:
    """A copy whose int8 layers have float weights that learn, rounded in each forward pass.

    Its answers are the same. The scales of its activations learn too. Weights have the names that
    they had before they were quantized (`conv1.weight`), so those of the unquantized network,
    norms folded, can be loaded instead.

    Args:
        network: what `quantize` made, or a network without layers of its kind.
    """
    changed = deepcopy(network)
    if not isinstance(changed, fx.GraphModule):
        return changed  # of rounded weights alone, which stay
    reads = _reads(changed)
    for quantizer in _of(changed, Quantizer).values():
        quantizer.stretch = nn.Parameter(torch.zeros_like(quantizer.scale))
    stored = _of(changed, Stored)
    replace(changed, {path: _thaw(one, reads[path]) for path, one in stored.items()})
    return keep_roles(network, changed)


def settled(network: nn.Module) -> nn.Module:
    """A copy of a trainable network with its weights stored as int8 again."""
    changed = deepcopy(network)
    for quantizer in _of(changed, Quantizer).values():
        quantizer.scale.copy_(quantizer.step.detach())
        quantizer.stretch = None
    learned = _of(changed, Trainable)
    replace(changed, {path: _settle(one) for path, one in learned.items()})
    return keep_roles(network, changed)


@torch.no_grad()
def _thaw(stored: Stored, reads: Quantizer) -> Trainable:
    layer = Trainable(stored.form, stored.how, reads).to(stored.scale.device)
    layer.weight.copy_(stored.weight)
    if layer.bias is not None and stored.bias is not None:
        layer.bias.copy_(stored.bias)
    return layer.train(stored.training)


def _settle(layer: Trainable) -> Stored:
    stored = Stored(layer.form, layer.how).to(layer.weight.device)
    stored.store(layer.weight, layer.bias, layer.input_scale)
    return stored.train(layer.training)


def _reads(network: fx.GraphModule) -> dict[str, Quantizer]:
    """What rounds the input of each layer, by the layer's path."""
    modules, found = dict(network.named_modules()), {}
    for node in network.graph.nodes:
        if node.op != "call_module" or not isinstance(modules[str(node.target)], Stored):
            continue
        source = node.all_input_nodes[0]
        while True:
            module = modules[str(source.target)] if source.op == "call_module" else None
            if isinstance(module, Quantizer):
                break
            # What lies between moves values and computes nothing.
            source = source.args[1] if isinstance(module, Point) else source.all_input_nodes[0]
        found[str(node.target)] = module
    return found


def _of(network: nn.Module, kind: type[M]) -> dict[str, M]:
    return {path: one for path, one in network.named_modules() if isinstance(one, kind)}
