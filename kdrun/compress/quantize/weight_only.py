"""Weight-only quantization: smaller files; activations and arithmetic stay in float."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.layer_operation import (
    HAVING_WEIGHTS,
    LayerOperation,
    operation_of,
)
from kdrun.compress.quantize.ops import dequantize
from kdrun.compress.quantize.quantized_network import (
    copy_sizes,
    float_share_note,
    select_float_layers,
)
from kdrun.compress.quantize.weight_scales import WeightGrid, choose_scales
from kdrun.compress.structure_changes import WEIGHTS, CompressionResult

_PACKED_BITS = 4  # two integers of so many bits share a byte
_PACKED_OFFSET = 8  # added to such integers, so that they are not negative


def weight_only_structure(
    network: nn.Module, layers: Sequence[str], bits: int, group: int | None
) -> nn.Module:
    """Return a copy in which the layers at these paths are empty `WeightOnlyLayer` layers.

    Args:
        network: the network, which is left unchanged.
        layers: paths of linear layers, convolutions and embeddings.
        bits: as in `quantize_weights`.
        group: as in `quantize_weights`.
    """
    copy = deepcopy(network)
    for path in layers:
        copy.set_submodule(path, _empty_layer(network.get_submodule(path), bits, group))
    return copy


@torch.no_grad()
def quantize_weights(
    network: nn.Module, bits: int, group: int | None, layers: str | Sequence[str]
) -> CompressionResult:
    """Quantize the weights of linear layers, convolutions and embeddings to a symmetric grid.

    Args:
        network: the network, which is left unchanged.
        bits: 8, or 4, where two integers share a byte.
        group: number of weights of an output, or of a row of an embedding, that share a scale, in
            the order (input channel, kernel); None if all weights of an output share one.
        layers: a glob of module paths, or a list of paths.

    Raises:
        UserError: no layer matches the glob.
    """
    description = "linear layer, convolution or embedding"
    paths = select_float_layers(network, HAVING_WEIGHTS, layers, description)
    arguments: dict[str, Any] = {"layers": paths, "bits": bits, "group": group}
    quantized = weight_only_structure(network, **arguments)
    for path in paths:
        layer = quantized.get_submodule(path)
        assert isinstance(layer, WeightOnlyLayer)
        layer.store(network.get_submodule(path))
    notes = float_share_note(network, paths)
    return CompressionResult(quantized, [{"name": WEIGHTS, **arguments}], notes)


class WeightOnlyLayer(nn.Module):
    """A layer with integer weights that are dequantized in each forward pass.

    Args:
        operation: what the layer computes.
        bits: 8 or 4.
        group: number of weights of an output that share a scale; None if all do.
    """

    values: Tensor
    scale: Tensor
    bias: nn.Parameter | None

    def __init__(self, operation: LayerOperation, bits: int, group: int | None) -> None:
        super().__init__()
        self.operation, self.bits = operation, bits
        outputs, *inner = operation.shape
        self.inputs = torch.Size(inner).numel()
        self.group = min(group or self.inputs, self.inputs)
        groups = -(-self.inputs // self.group)
        if bits == _PACKED_BITS:
            values = torch.zeros(outputs, -(-self.inputs // 2), dtype=torch.uint8)
        else:
            values = torch.zeros(outputs, self.inputs, dtype=torch.int8)
        self.register_buffer("values", values)
        self.register_buffer("scale", torch.ones(outputs * groups))
        bias = nn.Parameter(torch.zeros(outputs)) if operation.biased else None
        self.register_parameter("bias", bias)

    @property
    def weight(self) -> Tensor:
        """The dequantized weight."""
        return self._dequantize(self.values, self.scale).reshape(self.operation.shape)

    @property
    def dequantized(self) -> tuple[Tensor, ...]:
        """The values of all integer tensors, in float."""
        return (self.weight,)

    def forward(self, x: Tensor) -> Tensor:
        if not self.operation.embeds:
            return self.operation(x, self.weight, self.bias)
        ids, scales = x.flatten(), self.scale.view(len(self.values), -1)
        rows = self._dequantize(self.values[ids], scales[ids].flatten())
        return rows.view(*x.shape, self.inputs)

    # Any, as mypy takes each attribute of an nn.Module for a tensor or a module.
    @torch.no_grad()
    def store(self, layer: Any) -> None:
        """Quantize the weight of a layer, and keep it with the layer's bias."""
        weight_grid = WeightGrid(QuantizationGrid(self.bits, symmetric=True), per_channel=True)
        rows = self._grouped(layer.weight.flatten(1))
        scales = choose_scales(rows, weight_grid)
        integers = scales.quantize(rows, weight_grid.grid)
        integers = integers.reshape(len(layer.weight), -1)[:, : self.inputs]
        self.values.copy_(_pack(integers) if self.bits == _PACKED_BITS else integers)
        self.scale.copy_(scales.scale)
        if self.bias is not None:
            self.bias.copy_(layer.bias)

    def _dequantize(self, values: Tensor, scale: Tensor) -> Tensor:
        """Return rows (N, inputs) of the weight in float.

        Args:
            values: (N, ...) the stored integers of the rows.
            scale: (N x groups,) their scales.
        """
        integers = _unpack(values, self.inputs) if self.bits == _PACKED_BITS else values
        no_zero_point, row_axis = None, 0
        rows = dequantize(self._grouped(integers), scale, no_zero_point, row_axis)
        return rows.reshape(values.shape[0], -1)[:, : self.inputs]

    def _grouped(self, rows: Tensor) -> Tensor:
        """Reshape (outputs, inputs) to (outputs x groups, group), after padding groups with 0."""
        return F.pad(rows, (0, -self.inputs % self.group)).reshape(-1, self.group)


def _empty_layer(layer: Any, bits: int, group: int | None) -> WeightOnlyLayer:
    empty = WeightOnlyLayer(operation_of(layer), bits, group).to(layer.weight.device)
    copy_sizes(layer, empty)
    return empty.train(layer.training)


def _pack(integers: Tensor) -> Tensor:
    """Convert integers from -8 to 7 (N, K) to bytes (N, ceil(K / 2)), the first in the low half."""
    shifted = F.pad(integers + _PACKED_OFFSET, (0, integers.shape[1] % 2)).to(torch.uint8)
    return shifted[:, 0::2] + shifted[:, 1::2] * 16


def _unpack(packed: Tensor, inputs: int) -> Tensor:
    """Convert bytes of `_pack` back to integers (N, inputs) int8."""
    halves = torch.stack((packed % 16, packed // 16), dim=-1).flatten(1)
    return halves[:, :inputs].to(torch.int8) - _PACKED_OFFSET
