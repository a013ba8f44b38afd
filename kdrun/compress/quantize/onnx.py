"""Our operators as those of ONNX, which runtimes turn into int8 kernels."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from kdrun.core.errors import UserError


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """For `torch.onnx.export(dynamo=True, custom_translation_table=translations())`.

    Raises:
        UserError: onnxscript is missing.
    """
    try:
        from onnxscript import INT8, UINT8
        from onnxscript import opset18 as op
    except ImportError as error:
        raise UserError("export to ONNX needs onnxscript.", "  pip install 'kdrun[export]'") from error

    # Any: onnxscript's own types of what a graph is made of.
    def quantize_dequantize(x: Any, scale: Any, zero: Any, low: int, high: int) -> Any:
        zero = op.Cast(op.Add(zero, 128.0), to=UINT8.dtype)
        return op.DequantizeLinear(op.QuantizeLinear(x, scale, zero), scale, zero)

    def dequantize(values: Any, scale: Any, zero: Any = None, axis: int | None = None) -> Any:
        if zero is None and values.dtype == INT8.dtype:
            # Spelled out: without it runtimes take no product of matrices for one of int8.
            zero = op.Cast(op.Mul(scale, 0.0), to=INT8.dtype)
        return op.DequantizeLinear(values, scale, zero, axis=0 if axis is None else axis)

    def mean(x: Any, dim: Sequence[int], keepdim: bool = False, dtype: int = -1) -> Any:
        return op.GlobalAveragePool(x)

    return {
        torch.ops.kdrun.quantize_dequantize.default: quantize_dequantize,
        torch.ops.kdrun.dequantize.default: dequantize,
        torch.ops.aten.mean.dim: mean,
    }
