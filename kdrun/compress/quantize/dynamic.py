"""Dynamic quantization: int8 linear layers whose inputs are rounded to a grid of the moment."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.compress.calibrators import Grid
from kdrun.compress.quantize.ops import dequantize, linear_dynamic
from kdrun.compress.quantize.quantized_network import Quantized, chosen, left_in_float, replace
from kdrun.compress.quantize.weight_scales import WeightGrid, steps

_HOW = WeightGrid(Grid(8, symmetric=True), per_channel=True)


def quantize_dynamic(network: nn.Module, layers: Sequence[str]) -> nn.Module:
    """A copy whose linear layers at these paths are quantized, with weights of no meaning."""
    made = deepcopy(network)
    replace(made, {path: _layer(made.get_submodule(path)) for path in layers})
    return made


@torch.no_grad()
def store_dynamic(network: nn.Module, layers: str | Sequence[str]) -> Quantized:
    """Store the weights of linear layers as int8, and let these round their inputs.

    Args:
        network: stays as it was.
        layers: a glob of module paths, or paths.

    Raises:
        UserError: no linear layer has such a path.
    """
    paths = chosen(network, (nn.Linear,), layers, "linear layer")
    made = quantize_dynamic(network, paths)
    for path in paths:
        stored = made.get_submodule(path)
        assert isinstance(stored, Dynamic)
        stored.store(network.get_submodule(path))
    notes = left_in_float(network, paths)
    return Quantized(made, {"name": "quantize_dynamic", "layers": paths}, notes)


class Dynamic(nn.Module):
    """A linear layer with int8 weights, each output's with a scale of its own.

    Its input is rounded to 256 numbers between its least and its largest value, 0 among them, of
    the whole batch: so an answer depends, a little, on what else is in the batch.

    Args:
        outputs: features that it answers.
        inputs: features that it is given.
        biased: whether it has a bias.
    """

    values: Tensor
    scale: Tensor
    bias: nn.Parameter | None

    def __init__(self, outputs: int, inputs: int, biased: bool) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(outputs, inputs, dtype=torch.int8))
        self.register_buffer("scale", torch.ones(outputs))
        self.register_parameter("bias", nn.Parameter(torch.zeros(outputs)) if biased else None)

    @property
    def weight(self) -> Tensor:
        """What its numbers stand for."""
        return dequantize(self.values, self.scale, None, 0)

    @property
    def stands_for(self) -> tuple[Tensor, ...]:
        """The weights in float that are stored as whole numbers."""
        return (self.weight,)

    def forward(self, x: Tensor) -> Tensor:
        return linear_dynamic(x, self.values, self.scale, self.bias)

    # Any: nn.Module's own attributes are typed as tensors or modules alike.
    @torch.no_grad()
    def store(self, layer: Any) -> None:
        """Take over the weights and the bias of a linear layer."""
        found = steps(layer.weight, _HOW)
        self.values.copy_(found.whole(layer.weight, _HOW.grid))
        self.scale.copy_(found.scale)
        if self.bias is not None:
            self.bias.copy_(layer.bias)


# Any: as above.
def _layer(layer: Any) -> Dynamic:
    outputs, inputs = layer.weight.shape
    made = Dynamic(outputs, inputs, layer.bias is not None).to(layer.weight.device)
    return made.train(layer.training)
