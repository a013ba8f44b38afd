"""Convolutions and linear layers whose weights are stored as whole numbers, or learn as such."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.compress.calibrators import Grid
from kdrun.compress.quantize.ops import dequantize, quantize_dequantize
from kdrun.compress.quantize.weight_scales import (
    Steps,
    WeightGrid,
    finest,
    rounded,
    steps,
    straight,
)

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@dataclass(frozen=True)
class Form:
    """What a layer does with inputs, weights and bias.

    Attributes:
        shape: of its weights.
        biased: whether it has a bias.
        convolution: stride, padding, dilation, groups; empty for a linear layer.
        edges: what `F.pad` adds first, and how, where that is not zeros.
    """

    shape: tuple[int, ...]
    biased: bool
    convolution: tuple[Any, ...] = ()
    edges: tuple[Sequence[int], str] | None = None

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not self.convolution:
            if x.dim() == 2:
                return F.linear(x, weight, bias)
            # As rows (B, inputs): else exporters write a product and a sum, which run in float.
            return F.linear(x.flatten(0, -2), weight, bias).unflatten(0, x.shape[:-1])
        if self.edges is not None:
            x = F.pad(x, *self.edges)
        return _CONVOLVE[len(self.shape) - 2](x, weight, bias, *self.convolution)


def form_of(layer: Any) -> Form:
    """The form of one of `KINDS`."""
    shape, biased = tuple(layer.weight.shape), layer.bias is not None
    if isinstance(layer, nn.Linear):
        return Form(shape, biased)
    if layer.padding_mode == "zeros":
        return Form(shape, biased, (layer.stride, layer.padding, layer.dilation, layer.groups))
    inner = (layer.stride, 0, layer.dilation, layer.groups)
    return Form(shape, biased, inner, (layer._reversed_padding_repeated_twice, layer.padding_mode))


class Quantizer(nn.Module):
    """Rounds activations to a grid; its scale and zero are stored with the weights.

    While the network learns, a stretch of the scale learns too, as its logarithm: so steps are as
    large for any scale (Jain et al. 2020, arXiv:1903.08066).

    Args:
        grid: the whole numbers.
    """

    scale: Tensor
    zero: Tensor
    stretch: nn.Parameter | None

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        self.register_buffer("scale", torch.ones(()))
        # A float, as averages of weights take all buffers in.
        self.register_buffer("zero", torch.zeros(()))
        self.register_parameter("stretch", None)

    @property
    def step(self) -> Tensor:
        """The scale by now."""
        return self.scale if self.stretch is None else self.scale * self.stretch.exp()

    def forward(self, x: Tensor) -> Tensor:
        return quantize_dequantize(x, self.step, self.zero, self.grid.lowest, self.grid.highest)


class Stored(nn.Module):
    """A layer with int8 weights and an int32 bias that counts in input scale times weight scale.

    Args:
        form: of the layer.
        how: how its weights are quantized.
    """

    values: Tensor
    scale: Tensor
    zero: Tensor | None
    whole_bias: Tensor | None
    input_scale: Tensor

    def __init__(self, form: Form, how: WeightGrid) -> None:
        super().__init__()
        self.form, self.how = form, how
        scales = form.shape[:1] if how.per_channel else ()
        self.register_buffer("values", torch.zeros(form.shape, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(scales))
        affine = not how.grid.symmetric
        self.register_buffer("zero", torch.zeros(scales, dtype=torch.int8) if affine else None)
        bias = torch.zeros(form.shape[:1], dtype=torch.int32) if form.biased else None
        self.register_buffer("whole_bias", bias)
        self.register_buffer("input_scale", torch.ones(()))

    @property
    def weight(self) -> Tensor:
        """What its numbers stand for."""
        return dequantize(self.values, self.scale, self.zero, self.how.axis)

    @property
    def bias(self) -> Tensor | None:
        if self.whole_bias is None:
            return None
        return dequantize(self.whole_bias, self.input_scale * self.scale, None, self.how.axis)

    @property
    def stands_for(self) -> tuple[Tensor, ...]:
        """The weights in float that are stored as whole numbers."""
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.form(x, self.weight, self.bias)

    @torch.no_grad()
    def store(self, weight: Tensor, bias: Tensor | None, input_scale: Tensor) -> None:
        """Take over weights and a bias in float."""
        self.input_scale.copy_(input_scale)
        least = None if bias is None else finest(bias, input_scale)
        found = steps(weight, self.how, least)
        self.values.copy_(found.whole(weight, self.how.grid))
        self.scale.copy_(found.scale)
        if self.zero is not None and found.zero is not None:
            self.zero.copy_(found.zero)
        if self.whole_bias is not None and bias is not None:
            self.whole_bias.copy_((bias / (input_scale * found.scale)).round())


class Trainable(nn.Module):
    """The same layer with weights that learn, and are rounded in each forward pass.

    Their scales follow the weights (Jacob et al. 2018, arXiv:1712.05877, section 3).

    Args:
        form: of the layer.
        how: how its weights are quantized.
        reads: what rounds its input.
    """

    bias: nn.Parameter | None

    def __init__(self, form: Form, how: WeightGrid, reads: Quantizer) -> None:
        super().__init__()
        self.form, self.how = form, how
        self._reads = (reads,)  # in a tuple, as it is no part of this layer
        self.weight = nn.Parameter(torch.zeros(form.shape))
        bias = nn.Parameter(torch.zeros(form.shape[:1])) if form.biased else None
        self.register_parameter("bias", bias)

    @property
    def input_scale(self) -> Tensor:
        return self._reads[0].step.detach()

    def forward(self, x: Tensor) -> Tensor:
        least = None if self.bias is None else finest(self.bias, self.input_scale)
        weight, found = rounded(self.weight, self.how, least)
        return self.form(x, weight, self._bias(found))

    def _bias(self, found: Steps) -> Tensor | None:
        if self.bias is None:
            return None
        unit = self.input_scale * found.scale
        return straight(self.bias, (self.bias.detach() / unit).round() * unit)
