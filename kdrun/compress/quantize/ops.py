"""The operators that quantized networks are made of, with names that exporters know."""

from math import prod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

# Not `torch.library.custom_op`, whose operators load the compiler when they are first called.
_LIBRARY = torch.library.Library("kdrun", "DEF")
_LIBRARY.define(
    "quantize_dequantize(Tensor x, Tensor scale, Tensor zero, int low, int high) -> Tensor"
)
_LIBRARY.define("dequantize(Tensor values, Tensor scale, Tensor? zero, int? axis) -> Tensor")
_LIBRARY.define("linear_dynamic(Tensor x, Tensor values, Tensor scale, Tensor? bias) -> Tensor")


def _quantize_dequantize(x: Tensor, scale: Tensor, zero: Tensor, low: int, high: int) -> Tensor:
    """(clip(round(x / scale) + zero, low, high) - zero) scale, of the type of x.

    Gradients pass straight through where nothing was clipped (Bengio et al. 2013,
    arXiv:1308.3432). The scale's is that of Esser et al. 2020 (arXiv:1902.08153, equation 3):
    round(v) - v with v = x / scale, or the end that v was clipped to.

    Args:
        x: any shape.
        scale: () float32.
        zero: () the whole number that stands for 0.
        low: the least whole number.
        high: the largest.
    """
    # In place, and with the zero in the ends: a fifth of the time of torch's own function on a CPU.
    whole = x.float().div(scale).round_()
    return whole.clamp_(low - zero, high - zero).mul_(scale).to(x.dtype)


def _dequantize(values: Tensor, scale: Tensor, zero: Tensor | None, axis: int | None) -> Tensor:
    """(values - zero) scale.

    Args:
        values: whole numbers of any shape.
        scale: (), or (N,) float32 where axis says which dimension these N belong to.
        zero: as scale, int8; None for 0.
        axis: of the scales; None for one scale.
    """
    shape = [1] * values.dim()
    if axis is not None:
        shape[axis] = -1
    numbers = values.to(scale.dtype)
    if zero is not None:
        numbers = numbers - zero.to(scale.dtype).reshape(shape)
    return numbers * scale.reshape(shape)


def _linear_dynamic(x: Tensor, values: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """A linear layer of int8 weights, x rounded to 256 numbers from its least to its largest value.

    As ONNX's DynamicQuantizeLinear has it; gradients pass straight through the rounding.

    Args:
        x: (..., K).
        values: (N, K) int8.
        scale: (N,).
        bias: (N,).
    """
    low, high = torch.aminmax(x.float())
    low, high = low.clamp_max(0), high.clamp_min(0)
    step = (high - low) / 255
    step = torch.where(step > 0, step, 1.0)
    zero = (-low / step).round()
    rounded = _quantize_dequantize(x, step, zero, 0, 255)
    return F.linear(rounded, _dequantize(values, scale, None, 0).to(x.dtype), bias)


# Any: the context that torch hands from the forward to the backward pass.
def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, scale, zero, low, high = inputs
    ctx.save_for_backward(x, scale, zero)
    ctx.ends = low, high


def _straight_through(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    x, scale, zero = ctx.saved_tensors
    low, high = ctx.ends
    exact = x.float().div(scale)
    whole = exact.round()
    kept = (whole >= low - zero) & (whole <= high - zero)
    own = None
    if ctx.needs_input_grad[1]:
        slope = torch.where(kept, whole - exact, whole.clamp(low - zero, high - zero))
        own = (slope * gradient.float()).sum()
    return gradient * kept, own, None, None, None


def _fake(x: Tensor, scale: Tensor, zero: Tensor, low: int, high: int) -> Tensor:
    return torch.empty_like(x)


def _fake_dequantize(
    values: Tensor, scale: Tensor, zero: Tensor | None, axis: int | None
) -> Tensor:
    return torch.empty_like(values, dtype=scale.dtype)


def _fake_linear_dynamic(x: Tensor, values: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(*x.shape[:-1], len(values))


def _count_linear_dynamic(x: list[int], values: list[int], *others: Any, **keys: Any) -> int:
    """Multiplications and additions by shapes, for torch's counter, which sees none within."""
    return 2 * prod(x) * values[0]


def _remember_linear(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    _, values, scale, bias = inputs
    ctx.save_for_backward(values, scale)
    ctx.biased = bias is not None


def _through_linear(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    values, scale = ctx.saved_tensors
    weight = _dequantize(values, scale, None, 0).to(gradient.dtype)
    own = gradient.flatten(0, -2).sum(0) if ctx.biased else None
    return gradient @ weight, None, None, own


_LIBRARY.impl("quantize_dequantize", _quantize_dequantize, "CompositeExplicitAutograd")
_LIBRARY.impl("dequantize", _dequantize, "CompositeExplicitAutograd")
_LIBRARY.impl("linear_dynamic", _linear_dynamic, "CompositeExplicitAutograd")
torch.library.register_fake("kdrun::quantize_dequantize", _fake, lib=_LIBRARY)
torch.library.register_fake("kdrun::dequantize", _fake_dequantize, lib=_LIBRARY)
torch.library.register_fake("kdrun::linear_dynamic", _fake_linear_dynamic, lib=_LIBRARY)
torch.library.register_autograd(
    "kdrun::quantize_dequantize", _straight_through, setup_context=_remember, lib=_LIBRARY
)
torch.library.register_autograd(
    "kdrun::linear_dynamic", _through_linear, setup_context=_remember_linear, lib=_LIBRARY
)
register_flop_formula(torch.ops.kdrun.linear_dynamic)(_count_linear_dynamic)
quantize_dequantize = torch.ops.kdrun.quantize_dequantize
dequantize = torch.ops.kdrun.dequantize
linear_dynamic = torch.ops.kdrun.linear_dynamic
