"""The operation of a linear layer, convolution or embedding, with any weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

QUANTIZABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
HAVING_WEIGHTS = (*QUANTIZABLE, nn.Embedding)
_CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


class Padding(NamedTuple):
    """Arguments of `F.pad`, for padding that is not with zeros."""

    sizes: Sequence[int]
    mode: str


@dataclass(frozen=True)
class LayerOperation:
    """The function of input, weight and bias that a layer computes.

    Attributes:
        shape: shape of the weight.
        biased: whether the layer has a bias.
        convolution: stride, padding, dilation and groups; empty for a linear layer.
        padding: padding before the convolution; None if the convolution itself pads with zeros.
        embeds: whether the layer is an embedding, whose input selects rows of the weight.
    """

    shape: tuple[int, ...]
    biased: bool
    convolution: tuple[Any, ...] = ()
    padding: Padding | None = None
    embeds: bool = False

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.embeds:
            return F.embedding(x, weight)
        if not self.convolution:
            if x.dim() == 2:
                return F.linear(x, weight, bias)
            # The input becomes a matrix (B, inputs): for more dimensions, exporters write a product
            # and a sum, which runtimes compute in float.
            return F.linear(x.flatten(0, -2), weight, bias).unflatten(0, x.shape[:-1])
        if self.padding is not None:
            x = F.pad(x, *self.padding)
        return _CONVOLVE[len(self.shape) - 2](x, weight, bias, *self.convolution)


# Any, as mypy takes each attribute of an nn.Module for a tensor or a module.
def operation_of(layer: Any) -> LayerOperation:
    """Return the operation of a layer whose class is one of `HAVING_WEIGHTS`."""
    if isinstance(layer, nn.Embedding):
        return LayerOperation(tuple(layer.weight.shape), biased=False, embeds=True)
    shape, biased = tuple(layer.weight.shape), layer.bias is not None
    if isinstance(layer, nn.Linear):
        return LayerOperation(shape, biased)
    if layer.padding_mode == "zeros":
        keys = (layer.stride, layer.padding, layer.dilation, layer.groups)
        return LayerOperation(shape, biased, keys)
    keys = (layer.stride, 0, layer.dilation, layer.groups)
    padding = Padding(layer._reversed_padding_repeated_twice, layer.padding_mode)
    return LayerOperation(shape, biased, keys, padding)
