"""Dynamic quantization: int8 linear layers that choose the scale of their input in each call."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.ops import dequantize, linear_dynamic
from kdrun.compress.quantize.quantized_network import (
    copy_sizes,
    float_share_note,
    select_float_layers,
)
from kdrun.compress.quantize.weight_scales import WeightGrid, choose_scales
from kdrun.compress.structure_changes import DYNAMIC, CompressionResult

_WEIGHT_GRID = WeightGrid(QuantizationGrid(8, symmetric=True), per_channel=True)


def dynamic_structure(network: nn.Module, layers: Sequence[str]) -> nn.Module:
    """Return a copy in which the linear layers at these paths are empty `DynamicLinear` layers."""
    copy = deepcopy(network)
    for path in layers:
        copy.set_submodule(path, _empty_layer(network.get_submodule(path)))
    return copy


@torch.no_grad()
def quantize_dynamic(network: nn.Module, layers: str | Sequence[str]) -> CompressionResult:
    """Quantize linear layers: weights to int8 now, inputs in each forward pass.

    Args:
        network: the network, which is left unchanged.
        layers: a glob of module paths, or a list of paths.

    Raises:
        UserError: no linear layer matches the glob.
    """
    paths = select_float_layers(network, (nn.Linear,), layers, "linear layer")
    quantized = dynamic_structure(network, paths)
    for path in paths:
        layer = quantized.get_submodule(path)
        assert isinstance(layer, DynamicLinear)
        layer.store(network.get_submodule(path))
    notes = float_share_note(network, paths)
    return CompressionResult(quantized, [{"name": DYNAMIC, "layers": paths}], notes)


class DynamicLinear(nn.Module):
    """A linear layer with int8 weights and one scale for the weights of each output.

    Its input is rounded to 256 levels between the lowest and the highest value of the batch, so a
    sample's output depends slightly on the other samples.

    Args:
        outputs: number of output features.
        inputs: number of input features.
        biased: whether the layer has a bias.
    """

    values: Tensor
    scale: Tensor
    bias: nn.Parameter | None

    def __init__(self, outputs: int, inputs: int, biased: bool) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(outputs, inputs, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(outputs))
        self.register_parameter("bias", nn.Parameter(torch.zeros(outputs)) if biased else None)

    @property
    def weight(self) -> Tensor:
        """The dequantized weight."""
        no_zero_point, output_axis = None, 0
        return dequantize(self.values, self.scale, no_zero_point, output_axis)

    @property
    def dequantized(self) -> tuple[Tensor, ...]:
        """The values of all integer tensors, in float."""
        return (self.weight,)

    def forward(self, x: Tensor) -> Tensor:
        return linear_dynamic(x, self.values, self.scale, self.bias)

    # Any, as mypy takes each attribute of an nn.Module for a tensor or a module.
    @torch.no_grad()
    def store(self, layer: Any) -> None:
        """Quantize the weight of a linear layer, and keep it with the layer's bias."""
        scales = choose_scales(layer.weight, _WEIGHT_GRID)
        self.values.copy_(scales.quantize(layer.weight, _WEIGHT_GRID.grid))
        self.scale.copy_(scales.scale)
        if self.bias is not None:
            self.bias.copy_(layer.bias)


def _empty_layer(layer: Any) -> DynamicLinear:  # Any, as for `store`
    outputs, inputs = layer.weight.shape
    empty = DynamicLinear(outputs, inputs, layer.bias is not None).to(layer.weight.device)
    copy_sizes(layer, empty)
    return empty.train(layer.training)
