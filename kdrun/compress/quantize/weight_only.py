"""Weights alone as whole numbers: smaller files; activations and arithmetic stay in float."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdrun.compress.calibrators import Grid
from kdrun.compress.quantize.layers import KINDS, Form, form_of
from kdrun.compress.quantize.ops import dequantize
from kdrun.compress.quantize.quantized_network import Quantized, chosen, left_in_float, replace
from kdrun.compress.quantize.weight_scales import WeightGrid, steps
from kdrun.core.errors import UserError

_PACKED = 4  # bits, of which two numbers share a byte
_OFFSET = 8  # by which packed numbers are raised to be no less than 0


def quantize_weights(
    network: nn.Module, layers: Sequence[str], bits: int, group: int | None
) -> nn.Module:
    """A copy whose layers at these paths have weights as whole numbers, of no meaning.

    Args:
        network: stays as it was.
        layers: paths of linear layers and convolutions.
        bits: as in `store_weights`.
        group: as there.
    """
    made = deepcopy(network)
    replace(made, {path: _layer(made.get_submodule(path), bits, group) for path in layers})
    return made


@torch.no_grad()
def store_weights(
    network: nn.Module, bits: int, group: int | None, layers: str | Sequence[str]
) -> Quantized:
    """Store the weights of linear layers and convolutions as whole numbers, symmetric about 0.

    Args:
        network: stays as it was.
        bits: 8, or 4, of which two share a byte.
        group: how many weights of an output have a scale together, in the order (input channel,
            kernel); None for all of them.
        layers: a glob of module paths, or paths.

    Raises:
        UserError: no layer has such a path; the bits are neither 8 nor 4.
    """
    if bits not in (8, _PACKED):
        raise UserError(f"weights of {bits} bits can't be stored.", "  bits is 8 or 4")
    paths = chosen(network, KINDS, layers, "linear layer or convolution")
    keys: dict[str, Any] = {"layers": paths, "bits": bits, "group": group}
    made = quantize_weights(network, **keys)
    for path in paths:
        stored = made.get_submodule(path)
        assert isinstance(stored, WeightOnly)
        stored.store(network.get_submodule(path))
    notes = left_in_float(network, paths)
    return Quantized(made, {"name": "quantize_weights", **keys}, notes)


class WeightOnly(nn.Module):
    """A layer that computes in float with weights stored as whole numbers.

    Args:
        form: of the layer.
        bits: 8 or 4.
        group: of weights with a scale together; None for all of an output.
    """

    values: Tensor
    scale: Tensor
    bias: nn.Parameter | None

    def __init__(self, form: Form, bits: int, group: int | None) -> None:
        super().__init__()
        self.form, self.bits = form, bits
        outputs, *inner = form.shape
        self.inputs = torch.Size(inner).numel()
        self.group = min(group or self.inputs, self.inputs)
        groups = -(-self.inputs // self.group)
        if bits == _PACKED:
            values = torch.zeros(outputs, -(-self.inputs // 2), dtype=torch.uint8)
        else:
            values = torch.zeros(outputs, self.inputs, dtype=torch.int8)
        self.register_buffer("values", values)
        self.register_buffer("scale", torch.ones(outputs * groups))
        bias = nn.Parameter(torch.zeros(outputs)) if form.biased else None
        self.register_parameter("bias", bias)

    @property
    def weight(self) -> Tensor:
        """What its numbers stand for."""
        values = _unpack(self.values, self.inputs) if self.bits == _PACKED else self.values
        rows = dequantize(self._grouped(values), self.scale, None, 0)
        return rows.reshape(self.form.shape[0], -1)[:, : self.inputs].reshape(self.form.shape)

    @property
    def stands_for(self) -> tuple[Tensor, ...]:
        """The weights in float that are stored as whole numbers."""
        return (self.weight,)

    def forward(self, x: Tensor) -> Tensor:
        return self.form(x, self.weight, self.bias)

    # Any: nn.Module's own attributes are typed as tensors or modules alike.
    @torch.no_grad()
    def store(self, layer: Any) -> None:
        """Take over the weights and the bias of a layer."""
        how = WeightGrid(Grid(self.bits, symmetric=True), per_channel=True)
        rows = self._grouped(layer.weight.flatten(1))
        found = steps(rows, how)
        numbers = found.whole(rows, how.grid).reshape(len(layer.weight), -1)[:, : self.inputs]
        self.values.copy_(_pack(numbers) if self.bits == _PACKED else numbers)
        self.scale.copy_(found.scale)
        if self.bias is not None:
            self.bias.copy_(layer.bias)

    def _grouped(self, rows: Tensor) -> Tensor:
        """(outputs, inputs) as (outputs x groups, group), the last one filled up with 0."""
        return F.pad(rows, (0, -self.inputs % self.group)).reshape(-1, self.group)


# Any: as above.
def _layer(layer: Any, bits: int, group: int | None) -> WeightOnly:
    made = WeightOnly(form_of(layer), bits, group).to(layer.weight.device)
    return made.train(layer.training)


def _pack(numbers: Tensor) -> Tensor:
    """Numbers from -8 to 7 (N, K) as bytes (N, K / 2), the first in the lower half."""
    raised = F.pad(numbers + _OFFSET, (0, numbers.shape[1] % 2)).to(torch.uint8)
    return raised[:, 0::2] + raised[:, 1::2] * 16


def _unpack(packed: Tensor, inputs: int) -> Tensor:
    """What `_pack` was given, (N, inputs) int8."""
    halves = torch.stack((packed % 16, packed // 16), dim=-1).flatten(1)
    return halves[:, :inputs].to(torch.int8) - _OFFSET
