"""Custom operators of quantized networks: torch.ops.kdrun.

Exported .pt2 files call them by name, so this module must be imported before loading such a file.
"""

from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

# Not `torch.library.custom_op`: its operators load the compiler at their first call.
_LIBRARY = torch.library.Library("kdrun", "DEF")
_LIBRARY.define(
    "quantize_dequantize(Tensor x, Tensor scale, Tensor zero, int low, int high) -> Tensor"
)
_LIBRARY.define("dequantize(Tensor values, Tensor scale, Tensor? zero, int? axis) -> Tensor")
_LIBRARY.define("linear_dynamic(Tensor x, Tensor values, Tensor scale, Tensor? bias) -> Tensor")


def _quantize_dequantize(x: Tensor, scale: Tensor, zero: Tensor, low: int, high: int) -> Tensor:
    """Return (clip(round(x / scale) + zero, low, high) - zero) scale, in the dtype of x.

    The gradient passes straight through to every x that was not clipped: Bengio et al. 2013
    (arXiv:1308.3432). The gradient to the scale is that of Esser et al. 2020 (arXiv:1902.08153),
    equation 3: round(v) - v with v = x / scale; where v was clipped, the limit it was clipped to.

    Args:
        x: any shape.
        scale: () float32.
        zero: () the zero point: the integer with the value 0.
        low: the lowest integer.
        high: the highest integer.
    """
    # Operations are in place, and the zero point is in the limits: this takes a fifth of the time
    # of torch's function on a CPU.
    integers = x.float().div(scale).round_()
    return integers.clamp_(low - zero, high - zero).mul_(scale).to(x.dtype)


def _dequantize(values: Tensor, scale: Tensor, zero: Tensor | None, axis: int | None) -> Tensor:
    """Return (values - zero) scale.

    Args:
        values: integers of any shape.
        scale: () float32, or (N,) with one scale for each index of the dimension `axis`.
        zero: int8 of the same shape as scale; None if all zero points are 0.
        axis: the dimension that scales belong to; None for a single scale.
    """
    shape = [1] * values.dim()
    if axis is not None:
        shape[axis] = -1
    integers = values.to(scale.dtype)
    if zero is not None:
        integers = integers - zero.to(scale.dtype).reshape(shape)
    return integers * scale.reshape(shape)


def _linear_dynamic(x: Tensor, values: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """Apply a linear layer with int8 weights, after rounding x to 256 levels in its range.

    The rounding is that of ONNX's DynamicQuantizeLinear. Gradients pass straight through it.

    Args:
        x: (..., K) inputs.
        values: (N, K) int8 weights.
        scale: (N,) scale of each output's weights.
        bias: (N,), or None.
    """
    low, high = torch.aminmax(x.float())
    low, high = low.clamp_max(0), high.clamp_min(0)
    input_scale = (high - low) / 255
    input_scale = torch.where(input_scale > 0, input_scale, 1.0)
    zero = (-low / input_scale).round()
    rounded = _quantize_dequantize(x, input_scale, zero, 0, 255)
    return F.linear(rounded, _dequantize(values, scale, None, 0).to(x.dtype), bias)


# Any: the context that torch passes from the forward to the backward pass.
def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, scale, zero, low, high = inputs
    ctx.save_for_backward(x, scale, zero)
    ctx.limits = low, high


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    x, scale, zero = ctx.saved_tensors
    low, high = ctx.limits
    exact = x.float().div(scale)
    integers = exact.round()
    unclipped = (integers >= low - zero) & (integers <= high - zero)
    scale_gradient = None
    if ctx.needs_input_grad[1]:
        slope = torch.where(unclipped, integers - exact, integers.clamp(low - zero, high - zero))
        scale_gradient = (slope * gradient.float()).sum()
    return gradient * unclipped, scale_gradient, None, None, None


def _fake(x: Tensor, scale: Tensor, zero: Tensor, low: int, high: int) -> Tensor:
    return torch.empty_like(x)


def _fake_dequantize(
    values: Tensor, scale: Tensor, zero: Tensor | None, axis: int | None
) -> Tensor:
    return torch.empty_like(values, dtype=scale.dtype)


def _fake_linear_dynamic(x: Tensor, values: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(*x.shape[:-1], len(values))


def _count_linear_dynamic(x: list[int], values: list[int], *more: Any, **keys: Any) -> int:
    """Return FLOPs from the shapes of the arguments, as torch can't trace the operator."""
    return 2 * prod(x) * values[0]


def _save_linear_for_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, values, scale, bias = inputs
    ctx.save_for_backward(values, scale)
    ctx.biased = bias is not None


def _linear_backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    values, scale = ctx.saved_tensors
    weight = _dequantize(values, scale, None, 0).to(gradient.dtype)
    bias_gradient = gradient.flatten(0, -2).sum(0) if ctx.biased else None
    return gradient @ weight, None, None, bias_gradient


_LIBRARY.impl("quantize_dequantize", _quantize_dequantize, "CompositeExplicitAutograd")
_LIBRARY.impl("dequantize", _dequantize, "CompositeExplicitAutograd")
_LIBRARY.impl("linear_dynamic", _linear_dynamic, "CompositeExplicitAutograd")
torch.library.register_fake("kdrun::quantize_dequantize", _fake, lib=_LIBRARY)
torch.library.register_fake("kdrun::dequantize", _fake_dequantize, lib=_LIBRARY)
torch.library.register_fake("kdrun::linear_dynamic", _fake_linear_dynamic, lib=_LIBRARY)
torch.library.register_autograd(
    "kdrun::quantize_dequantize", _backward, setup_context=_save_for_backward, lib=_LIBRARY
)
torch.library.register_autograd(
    "kdrun::linear_dynamic", _linear_backward, setup_context=_save_linear_for_backward, lib=_LIBRARY
)
register_flop_formula(torch.ops.kdrun.linear_dynamic)(_count_linear_dynamic)
quantize_dequantize = torch.ops.kdrun.quantize_dequantize
dequantize = torch.ops.kdrun.dequantize
linear_dynamic = torch.ops.kdrun.linear_dynamic
