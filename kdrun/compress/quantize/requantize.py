"""Quantized networks back in float, for steps that change their weights, and rounded again."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from kdrun.compress.calibrators import Grid
from kdrun.compress.quantize.calibration import calibrate
from kdrun.compress.quantize.dynamic import Dynamic, store_dynamic
from kdrun.compress.quantize.layers import KINDS, Stored
from kdrun.compress.quantize.quantization_plan import quantizable
from kdrun.compress.quantize.quantized_network import Quantized, layers_in_float
from kdrun.compress.quantize.weight_only import WeightOnly, store_weights
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import Change
from kdrun.core.registry import settings_of

_KINDS = (Stored, WeightOnly, Dynamic)
STATIC = "quantize"
QUANTIZING = (STATIC, "quantize_dynamic", "quantize_weights")  # changes that round


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
    # A module that answers nothing is not in the graph that was quantized.
    network.load_state_dict({name: given.get(name, value) for name, value in own.items()})
    return network


def again(network: nn.Module, change: Change, material: StepInputs) -> Quantized | None:
    """Quantize a network as it was quantized before; None where nothing is left of that in float.

    Args:
        network: with weights and structure as they are now.
        change: by which it was quantized then.
        material: samples for the ranges of activations.
    """
    # Any: a change is plain data.
    keys: dict[str, Any] = settings_of(change)
    if change["name"] == STATIC:
        activations, weights = Grid(**keys["activations"]), WeightGrid.of(**keys["weights"])
        return static(network, material, activations, weights)
    kinds = (nn.Linear,) if change["name"] == "quantize_dynamic" else KINDS
    paths = [path for path in layers_in_float(network, kinds) if _is_of(path, keys["layers"])]
    if not paths:
        return None
    if change["name"] == "quantize_dynamic":
        return store_dynamic(network, paths)
    return store_weights(network, keys["bits"], keys["group"], paths)


def _is_of(path: str, layers: Sequence[str]) -> bool:
    """Whether a module is one of these layers, or a part of what one became."""
    return any(path == layer or path.startswith(f"{layer}.") for layer in layers)


def static(
    network: nn.Module, material: StepInputs, activations: Grid, weights: WeightGrid
) -> Quantized:
    """Quantize a network whose norms are folded, with ranges from the material's samples."""
    images = [batch for batch, _ in material.batches]
    plan = quantizable(network)
    return calibrate(network, plan, images, material.calibrator, activations, weights)
