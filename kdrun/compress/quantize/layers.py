"""Layers of statically quantized networks, in two forms: with int8 weights, and trainable."""

import torch
from torch import Tensor, nn

from kdrun.compress.quantization_grid import QuantizationGrid
from kdrun.compress.quantize.layer_operation import LayerOperation
from kdrun.compress.quantize.ops import dequantize, quantize_dequantize
from kdrun.compress.quantize.weight_scales import (
    WeightGrid,
    WeightScales,
    choose_scales,
    fake_quantize,
    min_scale_for_bias,
    straight_through,
)


class ActivationQuantizer(nn.Module):
    """Rounds an activation to a grid. Scale and zero point are buffers, saved with the weights.

    In quantization-aware training the scale is multiplied by exp(stretch), and `stretch` is
    learned. Because `stretch` is a logarithm, a step changes every scale by the same factor: Jain
    et al. 2020 (arXiv:1903.08066).

    Args:
        grid: the integers that the activation is rounded to.
    """

    scale: Tensor
    zero: Tensor
    stretch: nn.Parameter | None

    def __init__(self, grid: QuantizationGrid) -> None:
        super().__init__()
        self.grid = grid
        self.register_buffer("scale", torch.ones(()))
        # The zero point is a float, because averages of a network's weights average all buffers.
        self.register_buffer("zero", torch.zeros(()))
        self.register_parameter("stretch", None)

    @property
    def current_scale(self) -> Tensor:
        """The scale times the learned factor exp(stretch)."""
        return self.scale if self.stretch is None else self.scale * self.stretch.exp()

    def forward(self, x: Tensor) -> Tensor:
        grid = self.grid
        return quantize_dequantize(x, self.current_scale, self.zero, grid.lowest, grid.highest)


class Int8Layer(nn.Module):
    """A layer with int8 weights, and an int32 bias in units of input scale times weight scale.

    Args:
        operation: what the layer computes.
        weight_grid: how its weights are quantized.
        quantizer: rounds its input; None if the graph of the network has rounded it before.
    """

    quantizer: ActivationQuantizer | None
    values: Tensor
    scale: Tensor
    zero: Tensor | None
    whole_bias: Tensor | None
    input_scale: Tensor

    def __init__(
        self,
        operation: LayerOperation,
        weight_grid: WeightGrid,
        quantizer: ActivationQuantizer | None = None,
    ) -> None:
        super().__init__()
        self.register_module("quantizer", quantizer)
        self.operation, self.weight_grid = operation, weight_grid
        shape = operation.shape
        scales = shape[:1] if weight_grid.per_channel else ()
        self.register_buffer("values", torch.zeros(shape, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(scales))
        affine = not weight_grid.grid.symmetric
        self.register_buffer("zero", torch.zeros(scales, dtype=torch.int8) if affine else None)
        bias = torch.zeros(shape[:1], dtype=torch.int32) if operation.biased else None
        self.register_buffer("whole_bias", bias)
        self.register_buffer("input_scale", torch.ones(()))

    @property
    def weight(self) -> Tensor:
        """The dequantized weight."""
        return dequantize(self.values, self.scale, self.zero, self.weight_grid.axis)

    @property
    def bias(self) -> Tensor | None:
        """The dequantized bias."""
        if self.whole_bias is None:
            return None
        scale = self.input_scale * self.scale
        return dequantize(self.whole_bias, scale, None, self.weight_grid.axis)

    @property
    def dequantized(self) -> tuple[Tensor, ...]:
        """The values of all integer tensors, in float."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        rounded = x if self.quantizer is None else self.quantizer(x)
        return self.operation(rounded, self.weight, self.bias)

    @torch.no_grad()
    def store(self, weight: Tensor, bias: Tensor | None, input_scale: Tensor) -> None:
        """Quantize a float weight and bias, and keep the result.

        Args:
            weight: a weight of the operation's shape.
            bias: (N,), or None.
            input_scale: () the scale of the layer's input.
        """
        self.input_scale.copy_(input_scale)
        min_scale = None if bias is None else min_scale_for_bias(bias, input_scale)
        scales = choose_scales(weight, self.weight_grid, min_scale)
        self.values.copy_(scales.quantize(weight, self.weight_grid.grid))
        self.scale.copy_(scales.scale)
        if self.zero is not None and scales.zero_point is not None:
            self.zero.copy_(scales.zero_point)
        if self.whole_bias is not None and bias is not None:
            self.whole_bias.copy_((bias / (input_scale * scales.scale)).round())


class FakeQuantizedLayer(nn.Module):
    """A layer with trainable float weights, which each forward pass rounds as int8 would.

    Scales are computed from the current weights: Jacob et al. 2018 (arXiv:1712.05877), section 3.

    Args:
        operation: what the layer computes.
        weight_grid: how its weights are quantized.
        input_quantizer: the module that rounds the layer's input.
        rounds_input: whether the layer calls it; if not, the graph of the network does.
    """

    bias: nn.Parameter | None
    quantizer: ActivationQuantizer | None

    def __init__(
        self,
        operation: LayerOperation,
        weight_grid: WeightGrid,
        input_quantizer: ActivationQuantizer,
        rounds_input: bool,
    ) -> None:
        super().__init__()
        self.register_module("quantizer", input_quantizer if rounds_input else None)
        self.operation, self.weight_grid = operation, weight_grid
        # In a tuple, so that it does not become a submodule of this layer.
        self._input_quantizer = (input_quantizer,)
        self.weight = nn.Parameter(torch.zeros(operation.shape))
        bias = nn.Parameter(torch.zeros(operation.shape[:1])) if operation.biased else None
        self.register_parameter("bias", bias)

    @property
    def input_scale(self) -> Tensor:
        """() the current scale of the layer's input."""
        return self._input_quantizer[0].current_scale.detach()

    def forward(self, x: Tensor) -> Tensor:
        min_scale = None
        rounded = x if self.quantizer is None else self.quantizer(x)
        if self.bias is not None:
            min_scale = min_scale_for_bias(self.bias, self.input_scale)
        weight, scales = fake_quantize(self.weight, self.weight_grid, min_scale)
        return self.operation(rounded, weight, self._fake_quantized_bias(scales))

    def _fake_quantized_bias(self, scales: WeightScales) -> Tensor | None:
        if self.bias is None:
            return None
        unit = self.input_scale * scales.scale
        return straight_through(self.bias, (self.bias.detach() / unit).round() * unit)
