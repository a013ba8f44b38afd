"""Quantized networks back in float, for steps that change their weights, and rounded again."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from kdrun.compress.calibrate import Grid
from kdrun.compress.changes import Change
from kdrun.compress.material import Material
from kdrun.compress.quantize.calibration import calibrate
from kdrun.compress.quantize.dynamic import Dynamic, store_dynamic
from kdrun.compress.quantize.layers import Stored
from kdrun.compress.quantize.plan import quantizable
from kdrun.compress.quantize.record import Quantized
from kdrun.compress.quantize.weight_only import WeightOnly, store_weights
from kdrun.compress.quantize.weights import WeightGrid

_KINDS = (Stored, WeightOnly, Dynamic)
QUANTIZING = ("quantize", "quantize_dynamic", "quantize_weights")  # changes that round


def is_quantized(changes: Sequence[Change]) -> bool:
    """Whether a network was quantized; that is the last change of its structure."""
    return any(change["name"] in QUANTIZING for change in changes)


@torch.no_grad()
def in_float(quantized: nn.Module, network: nn.Module) -> nn.Module:
    """Fill a network in float with what the numbers of a quantized one stand for.

    Args:
        quantized: in whole numbers.
        network: the same before it was quantized, with weights of no meaning; it is changed.
    """
    rounded = {path: one for path, one in quantized.named_modules() if isinstance(one, _KINDS)}
    own, given = network.state_dict(), quantized.state_dict()
    for path, layer in rounded.items():
        given[f"{path}.weight"] = layer.weight
        if layer.bias is not None:
            given[f"{path}.bias"] = layer.bias
    network.load_state_dict({name: given[name] for name in own})
    return network


def again(network: nn.Module, change: Change, material: Material) -> Quantized:
    """Quantize a network in float as it was quantized before.

    Args:
        network: with weights and structure as they are now.
        change: by which it was quantized then.
        material: samples for the ranges of activations.
    """
    # Any: a change is plain data.
    keys: dict[str, Any] = {key: value for key, value in change.items() if key != "name"}
    if change["name"] == "quantize_weights":
        return store_weights(network, keys["bits"], keys["group"], layers="*")
    if change["name"] == "quantize_dynamic":
        return store_dynamic(network, layers="*")
    activations, weights = Grid(**keys["activations"]), WeightGrid.of(**keys["weights"])
    return static(network, material, activations, weights)


def static(
    network: nn.Module, material: Material, activations: Grid, weights: WeightGrid
) -> Quantized:
    """Quantize a network whose norms are folded, with ranges from the material's samples."""
    images = [batch for batch, _ in material.batches]
    plan = quantizable(network)
    return calibrate(network, plan, images, material.calibrator, activations, weights)
