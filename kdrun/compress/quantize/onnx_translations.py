"""Translates the custom operators of quantized networks to ONNX operators with int8 kernels."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from kdrun.compress.quantize import ops
from kdrun.core.errors import UserError

_UINT8_OFFSET = 128  # added to an int8 to give the uint8 for the same value


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return the `custom_translation_table` for `torch.onnx.export(dynamo=True)`.

    Activations become uint8, which int8 kernels on x86 read. ONNX Runtime could convert int8
    activations itself, but it computes operators in float if two of them read the same activation.
    With fewer than 8 bits, activations are clipped first and operators run in float.

    Raises:
        UserError: onnx or onnxscript is not installed.
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

    # Any: onnxscript's own types for the values of a graph.
    def quantize_dequantize(x: Any, scale: Any, zero: Any, low: int, high: int) -> Any:
        if high < _UINT8_OFFSET - 1:
            limits = (op.Mul(op.Sub(float(integer), zero), scale) for integer in (low, high))
            x = op.Clip(x, *limits)
        zero = op.Cast(op.Add(zero, float(_UINT8_OFFSET)), to=UINT8.dtype)
        return op.DequantizeLinear(op.QuantizeLinear(x, scale, zero), scale, zero)

    def dequantize(values: Any, scale: Any, zero: Any = None, axis: int | None = None) -> Any:
        if zero is None and values.dtype == INT8.dtype:
            # Runtimes use int8 matrix products only with an explicit zero point, here 0.
            zero = op.Cast(op.Mul(scale, 0.0), to=INT8.dtype)
        return op.DequantizeLinear(values, scale, zero, axis=0 if axis is None else axis)

    def linear_dynamic(x: Any, values: Any, scale: Any, bias: Any = None) -> Any:
        integers, input_scale, zero = op.DynamicQuantizeLinear(x)
        # Runtimes compute the Transpose of a constant only once, and store the result.
        product = op.MatMulInteger(integers, op.Transpose(values, perm=[1, 0]), zero)
        output = op.Mul(op.Cast(product, to=FLOAT.dtype), op.Mul(input_scale, scale))
        return output if bias is None else op.Add(output, bias)

    def mean(x: Any, dim: Sequence[int] | None, keepdim: bool = False, dtype: int = -1) -> Any:
        dims = [] if dim is None else sorted(axis % len(x.shape) for axis in dim)
        axes: Any = op.Constant(value_ints=dims) if dims else None
        if len(x.shape) != 4 or dims != [2, 3]:
            return op.ReduceMean(x, axes, keepdims=keepdim)
        pooled = op.GlobalAveragePool(x)  # it has an int8 kernel, unlike ReduceMean
        return pooled if keepdim else op.Squeeze(pooled, axes)

    return {
        ops.quantize_dequantize.default: quantize_dequantize,
        ops.dequantize.default: dequantize,
        ops.linear_dynamic.default: linear_dynamic,
        torch.ops.aten.mean.dim: mean,
    }
