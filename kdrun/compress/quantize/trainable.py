"""Converts statically quantized networks to a form that can be trained, and back to int8."""

from copy import deepcopy
from typing import Any

import torch
from torch import nn

from kdrun.compress.quantize.layers import ActivationQuantizer, FakeQuantizedLayer, Int8Layer
from kdrun.compress.quantize.quantized_network import copy_class_name_and_roles
from kdrun.compress.quantize.static import activation_quantizers, input_quantizers


def to_trainable(network: nn.Module) -> nn.Module:
    """Return a copy whose int8 layers become trainable layers, which round in each forward pass.

    The outputs stay the same. The scales of activations are trainable, too. Weights get the
    names that they had before quantization (`conv1.weight`), so that the weights of the
    unquantized network with folded norms can be loaded instead.

    Args:
        network: left unchanged. A network that is not statically quantized is only copied.
    """
    copy = deepcopy(network)
    for quantizer in activation_quantizers(copy).values():
        quantizer.stretch = nn.Parameter(torch.zeros_like(quantizer.scale))
    for path, quantizer in input_quantizers(copy).items():
        layer: Any = copy.get_submodule(path)
        copy.set_submodule(path, _to_float(layer, quantizer))
    return copy_class_name_and_roles(network, copy)


def to_int8(network: nn.Module) -> nn.Module:
    """Return a copy of a trainable network with its weights and scales stored as integers again."""
    copy = deepcopy(network)
    for quantizer in activation_quantizers(copy).values():
        quantizer.scale.copy_(quantizer.current_scale.detach())
        quantizer.stretch = None
    for path, layer in list(copy.named_modules()):
        if isinstance(layer, FakeQuantizedLayer):
            copy.set_submodule(path, _to_integers(layer))
    return copy_class_name_and_roles(network, copy)


@torch.no_grad()
def _to_float(layer: Int8Layer, input_quantizer: ActivationQuantizer) -> FakeQuantizedLayer:
    rounds_input = layer.quantizer is not None
    trainable = FakeQuantizedLayer(
        layer.operation, layer.weight_grid, input_quantizer, rounds_input
    )
    trainable = trainable.to(layer.scale.device)
    trainable.weight.copy_(layer.weight)
    if trainable.bias is not None and layer.bias is not None:
        trainable.bias.copy_(layer.bias)
    return trainable.train(layer.training)


def _to_integers(layer: FakeQuantizedLayer) -> Int8Layer:
    stored = Int8Layer(layer.operation, layer.weight_grid, layer.quantizer)
    stored = stored.to(layer.weight.device)
    stored.store(layer.weight, layer.bias, layer.input_scale)
    return stored.train(layer.training)
