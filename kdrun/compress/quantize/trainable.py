"""Converts statically quantized networks to a form that can be trained, and back to int8."""

from copy import deepcopy
from typing import TypeVar

import torch
from torch import fx, nn

from kdrun.compress.fx_graph import ModuleMarker
from kdrun.compress.quantize.layers import ActivationQuantizer, FakeQuantizedLayer, Int8Layer
from kdrun.compress.quantize.quantized_network import copy_class_name_and_roles, replace_modules

M = TypeVar("M", bound=nn.Module)


def to_trainable(network: nn.Module) -> nn.Module:
    """Return a copy whose int8 layers become trainable layers, which round in each forward pass.

    The outputs stay the same. The scales of activations are trainable, too. Weights get the
    names that they had before quantization (`conv1.weight`), so that the weights of the
    unquantized network with folded norms can be loaded instead.

    Args:
        network: left unchanged. A network that is not statically quantized is only copied.
    """
    copy = deepcopy(network)
    if not isinstance(copy, fx.GraphModule):
        return copy
    input_quantizers = _input_quantizers(copy)
    for quantizer in _modules_of(copy, ActivationQuantizer).values():
        quantizer.stretch = nn.Parameter(torch.zeros_like(quantizer.scale))
    layers = {
        path: _to_float(layer, input_quantizers[path])
        for path, layer in _modules_of(copy, Int8Layer).items()
    }
    replace_modules(copy, layers)
    return copy_class_name_and_roles(network, copy)


def to_int8(network: nn.Module) -> nn.Module:
    """Return a copy of a trainable network with its weights and scales stored as integers again."""
    copy = deepcopy(network)
    for quantizer in _modules_of(copy, ActivationQuantizer).values():
        quantizer.scale.copy_(quantizer.current_scale.detach())
        quantizer.stretch = None
    layers = _modules_of(copy, FakeQuantizedLayer)
    replace_modules(copy, {path: _to_integers(layer) for path, layer in layers.items()})
    return copy_class_name_and_roles(network, copy)


@torch.no_grad()
def _to_float(layer: Int8Layer, input_quantizer: ActivationQuantizer) -> FakeQuantizedLayer:
    trainable = FakeQuantizedLayer(layer.operation, layer.weight_grid, input_quantizer)
    trainable = trainable.to(layer.scale.device)
    trainable.weight.copy_(layer.weight)
    if trainable.bias is not None and layer.bias is not None:
        trainable.bias.copy_(layer.bias)
    return trainable.train(layer.training)


def _to_integers(layer: FakeQuantizedLayer) -> Int8Layer:
    stored = Int8Layer(layer.operation, layer.weight_grid).to(layer.weight.device)
    stored.store(layer.weight, layer.bias, layer.input_scale)
    return stored.train(layer.training)


def _input_quantizers(network: fx.GraphModule) -> dict[str, ActivationQuantizer]:
    """Return path of an int8 layer -> the quantizer that rounds its input."""
    modules, quantizers = dict(network.named_modules()), {}
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


def _modules_of(network: nn.Module, kind: type[M]) -> dict[str, M]:
    return {path: module for path, module in network.named_modules() if isinstance(module, kind)}
