"""Quantized networks as ONNX, in the operators that runtimes turn into int8 kernels."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from kdrun.core.errors import UserError

_MIDDLE = 128  # what uint8 has for the 0 of int8


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """For `torch.onnx.export(dynamo=True, custom_translation_table=translations())`.

    Activations are uint8, which kernels on x86 want: ONNX Runtime converts those of int8, but not
    where two operators read one, and computes these in float. Below 8 bits activations are clipped
    first, and operators run in float.

    Raises:
        UserError: onnx or onnxscript is missing.
    """
    try:
        import onnx  # noqa: F401 - the exporter needs it
        from onnxscript import FLOAT, INT8, UINT8
        from onnxscript import opset18 as op
    except ImportError as error:
        raise UserError(
            f"export to ONNX needs {error.name}, which is not installed.",
            "  pip install 'kdrun[export]'",
        ) from error

    # Any: onnxscript's own types of what a graph is made of.
    def quantize_dequantize(x: Any, scale: Any, zero: Any, low: int, high: int) -> Any:
        if high < _MIDDLE - 1:
            ends = (op.Mul(op.Sub(float(end), zero), scale) for end in (low, high))
            x = op.Clip(x, *ends)
        zero = op.Cast(op.Add(zero, float(_MIDDLE)), to=UINT8.dtype)
        return op.DequantizeLinear(op.QuantizeLinear(x, scale, zero), scale, zero)

    def dequantize(values: Any, scale: Any, zero: Any = None, axis: int | None = None) -> Any:
        if zero is None and values.dtype == INT8.dtype:
            # Said, though 0: else no runtime takes a product of matrices for one of int8.
            zero = op.Cast(op.Mul(scale, 0.0), to=INT8.dtype)
        return op.DequantizeLinear(values, scale, zero, axis=0 if axis is None else axis)

    def linear_dynamic(x: Any, values: Any, scale: Any, bias: Any = None) -> Any:
        whole, step, zero = op.DynamicQuantizeLinear(x)
        # Turned here: runtimes then store it turned.
        product = op.MatMulInteger(whole, op.Transpose(values, perm=[1, 0]), zero)
        found = op.Mul(op.Cast(product, to=FLOAT.dtype), op.Mul(step, scale))
        return found if bias is None else op.Add(found, bias)

    def mean(x: Any, dim: Sequence[int] | None, keepdim: bool = False, dtype: int = -1) -> Any:
        places = [] if dim is None else sorted(place % len(x.shape) for place in dim)
        axes: Any = op.Constant(value_ints=places) if places else None
        if len(x.shape) != 4 or places != [2, 3]:
            return op.ReduceMean(x, axes, keepdims=keepdim)
        pooled = op.GlobalAveragePool(x)  # which has an int8 kernel, unlike other means
        return pooled if keepdim else op.Squeeze(pooled, axes)

    return {
        torch.ops.kdrun.quantize_dequantize.default: quantize_dequantize,
        torch.ops.kdrun.dequantize.default: dequantize,
        torch.ops.kdrun.linear_dynamic.default: linear_dynamic,
        torch.ops.aten.mean.dim: mean,
    }
