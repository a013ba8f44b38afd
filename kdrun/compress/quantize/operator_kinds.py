"""Kinds of operators in a traced graph, by what they do to quantized values."""

import operator
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

# Clipping operators. Runtimes compute them as part of the layer or sum before them.
CLIPPING = {nn.ReLU, nn.ReLU6, F.relu, F.relu6, torch.relu, "relu", "relu_"}

# Operators that combine quantized values into new ones; runtimes have integer kernels for them.
COMBINING = {
    *(operator.add, operator.iadd, operator.mul, operator.imul),
    *(torch.add, torch.mul, torch.cat, torch.concat, torch.mean),
    *(F.avg_pool1d, F.avg_pool2d, F.avg_pool3d),
    *(F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d),
    *(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *("add", "add_", "mul", "mul_", "mean"),
}

# Operators that only move or select values: quantized values stay quantized.
MOVING = {
    *(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout),
    *(nn.Flatten, nn.Unflatten, nn.ZeroPad2d, nn.ChannelShuffle, nn.PixelShuffle),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
    *(F.max_pool1d, F.max_pool2d, F.max_pool3d, F.adaptive_max_pool2d),
    *(F.dropout, F.dropout1d, F.dropout2d, F.dropout3d),
    *(operator.getitem, torch.flatten, torch.reshape, torch.permute, torch.transpose),
    *(torch.squeeze, torch.unsqueeze, torch.chunk, torch.split),
    *("flatten", "unflatten", "view", "reshape", "permute", "transpose", "contiguous"),
    *("squeeze", "unsqueeze", "chunk", "split", "expand"),
}
SPLITTING = {torch.chunk, torch.split, "chunk", "split"}

# Operators that read the shape of a tensor and compute no values.
SHAPE_READING = {getattr, "size", "dim", "shape"}


# Any: a module's class, a function, or the name of a method.
def kind_of(node: fx.Node, modules: Mapping[str, nn.Module]) -> Any:
    """Return the operator that a node calls; None for a node that calls none, such as an input.

    Args:
        node: a node of a graph.
        modules: the modules of the traced network by path.

    Returns:
        The class of a called module, a called function, or the name of a called method.
    """
    if node.op == "call_module":
        return type(modules[str(node.target)])
    return node.target if node.op in ("call_function", "call_method") else None


def is_split_output(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Return whether a node selects one of the tensors that another tensor was split into."""
    tensor = node.args[0] if node.target is operator.getitem else None
    return isinstance(tensor, fx.Node) and kind_of(tensor, modules) in SPLITTING
