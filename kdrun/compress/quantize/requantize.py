"""Converts quantized networks to float for further steps, and quantizes them again afterwards."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.calibration import calibrate
from kdrun.compress.quantize.dynamic import DynamicLinear, quantize_dynamic
from kdrun.compress.quantize.layer_operation import HAVING_WEIGHTS
from kdrun.compress.quantize.layers import Int8Layer
from kdrun.compress.quantize.quantization_plan import plan_quantization
from kdrun.compress.quantize.quantized_network import float_layers
from kdrun.compress.quantize.weight_only import WeightOnlyLayer, quantize_weights
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import DYNAMIC, STATIC, Change, CompressionResult
from kdrun.core.inputs.padding import without_padding
from kdrun.core.registry import settings_of

_QUANTIZED_LAYERS = (Int8Layer, WeightOnlyLayer, DynamicLinear)


@torch.no_grad()
def dequantize_network(quantized: nn.Module, network: nn.Module) -> nn.Module:
    """Fill a network in float with the dequantized weights of a quantized one.

    Args:
        quantized: the network with integer weights.
        network: a network with the structure before quantization; its weights are overwritten.

    Returns:
        `network`.
    """
    layers = {
        path: module
        for path, module in quantized.named_modules()
        if isinstance(module, _QUANTIZED_LAYERS)
    }
    weights = quantized.state_dict()
    for path, layer in layers.items():
        weights[f"{path}.weight"] = layer.weight
        if layer.bias is not None:
            weights[f"{path}.bias"] = layer.bias
    # A module that does not contribute to the output is missing in a quantized graph.
    old = network.state_dict()
    network.load_state_dict({name: weights.get(name, value) for name, value in old.items()})
    return network


def requantize(
    network: nn.Module, change: Change, step_inputs: StepInputs
) -> CompressionResult | None:
    """Quantize a network with the settings of an earlier quantization.

    Args:
        network: the network in float.
        change: the record of the earlier quantization.
        step_inputs: the samples that ranges of activations are calibrated on.

    Returns:
        The quantized network; None if none of the layers that were quantized then is in float now.
    """
    # Any: a change is plain data.
    settings: dict[str, Any] = settings_of(change)
    if change["name"] == STATIC:
        grid = QuantizationGrid(**settings["activations"])
        return quantize_static(network, step_inputs, grid, WeightGrid.of(**settings["weights"]))
    kinds = (nn.Linear,) if change["name"] == DYNAMIC else HAVING_WEIGHTS
    paths = [path for path in float_layers(network, kinds) if _is_in(path, settings["layers"])]
    if not paths:
        return None
    if change["name"] == DYNAMIC:
        return quantize_dynamic(network, paths)
    return quantize_weights(network, settings["bits"], settings["group"], paths)


def quantize_static(
    network: nn.Module,
    step_inputs: StepInputs,
    activations: QuantizationGrid,
    weights: WeightGrid,
) -> CompressionResult:
    """Quantize weights and activations of a network whose batch norms are folded."""
    batches = [part for inputs, _ in step_inputs.batches for part in without_padding(inputs)]
    plan = plan_quantization(network)
    return calibrate(network, plan, batches, step_inputs.calibrator, activations, weights)


def _is_in(path: str, layers: Sequence[str]) -> bool:
    """Return whether a path is in the list, or inside of a module whose path is in the list."""
    return any(path == layer or path.startswith(f"{layer}.") for layer in layers)
