"""Static quantization of networks without a graph: each layer rounds its own input."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.layer_operation import QUANTIZABLE, operation_of
from kdrun.compress.quantize.layers import ActivationQuantizer, Int8Layer
from kdrun.compress.quantize.quantized_network import copy_sizes, float_layers
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.core.inputs.types import Inputs

Observe = Callable[[Tensor], None]


def layers_to_round(network: nn.Module) -> tuple[str, ...]:
    """Return the paths of the layers in float whose weights and inputs can be rounded."""
    return tuple(float_layers(network, QUANTIZABLE))


def layerwise_structure(
    network: nn.Module, layers: Sequence[str], activations: QuantizationGrid, weights: WeightGrid
) -> nn.Module:
    """Replace layers by empty int8 layers that round their inputs, in place."""
    for path in layers:
        layer: Any = network.get_submodule(path)  # Any, as for `operation_of`
        rounding = Int8Layer(operation_of(layer), weights, ActivationQuantizer(activations))
        copy_sizes(layer, rounding)
        network.set_submodule(path, rounding.to(layer.weight.device).train(layer.training))
    return network


def observe_inputs(
    network: nn.Module, batches: Sequence[Inputs], observers: Mapping[str, Observe]
) -> None:
    """Pass batches through a network, and the inputs of some layers to their observers.

    Args:
        network: the network in evaluation mode.
        batches: the batches.
        observers: path of a layer -> its observer.
    """
    hooks = [
        network.get_submodule(path).register_forward_pre_hook(partial(_pass_input, observe))
        for path, observe in observers.items()
    ]
    for batch in batches:
        network(batch)
    for hook in hooks:
        hook.remove()


def _pass_input(observe: Observe, layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
    observe(arguments[0])
