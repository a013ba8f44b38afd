"""The type of the inputs of networks."""

from collections.abc import Mapping

import torch
from torch import Tensor

CPU = torch.device("cpu")
Inputs = Tensor | Mapping[str, Tensor]  # images (B, C, H, W), or named tensors, each (B, ...)


def first_tensor(inputs: Inputs) -> Tensor:
    """Return the first of the tensors, which tells the number of samples and the device."""
    return inputs if isinstance(inputs, Tensor) else next(iter(inputs.values()))


def take(inputs: Inputs, rows: Tensor | slice) -> Inputs:
    """Return some of the samples."""
    if isinstance(inputs, Tensor):
        return inputs[rows]
    return {name: value[rows] for name, value in inputs.items()}


def to_device(inputs: Inputs, device: torch.device) -> Inputs:
    """Return the inputs on a device."""
    if isinstance(inputs, Tensor):
        return inputs.to(device)
    return {name: value.to(device) for name, value in inputs.items()}
