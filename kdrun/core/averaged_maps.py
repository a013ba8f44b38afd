"""Finds the feature maps that a tap is the average of."""

import torch
from torch import Tensor, nn

from kdrun.core.module_calls import record_calls
from kdrun.core.types import DataInfo

_INPUT = ":in"


def averaged_maps(network: nn.Module, path: str, data: DataInfo) -> str | None:
    """Return the path of the maps whose average is the value of a tap; None if there are none.

    They are found by their values in one forward pass. Of several modules with such an output the
    last one is taken, but one of a single pixel, such as the pooling, only if there is no other.

    Args:
        network: the network; it is run on two random samples, and not changed.
        path: a module path, for the output, or `PATH:in`, for the first input of the module.
        data: the form of its inputs.
    """
    calls = record_calls(network, data.inputs.random(2))
    reads_input, module = path.endswith(_INPUT), path.removesuffix(_INPUT)
    values = [
        call.module_input if reads_input else call.output for call in calls if call.path == module
    ]
    if not values or not isinstance(values[-1], Tensor):
        return None
    features = values[-1].flatten(1)
    matches = [call for call in calls if _averages_to(call.output, features)]
    with_pixels = [call for call in matches if call.output.shape[2:].numel() > 1]
    return (with_pixels or matches)[-1].path if matches else None


def _averages_to(maps: Tensor, features: Tensor) -> bool:
    """Return whether maps (B, C, H, W) have the average features (B, C)."""
    if maps.dim() != 4 or maps.shape[:2] != features.shape:
        return False
    return torch.allclose(maps.mean(dim=(2, 3)), features, rtol=1e-3, atol=1e-5)
