"""Applies a compression step to a network that other steps may have changed before."""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import nn

from kdrun.compress.quantize.requantize import dequantize_network, requantize
from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import (
    QUANTIZING,
    STATIC,
    Change,
    CompressionResult,
    weights_with_zeros,
    zeros_change,
)
from kdrun.core.inputs.types import first_tensor


class Compressor(Protocol):
    """A compression step that changes a network without training it."""

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        """Change a network in float, possibly in place.

        Returns:
            The result, with the changes of this step alone.

        Raises:
            UserError: the step can't be applied to this network.
        """
        ...


def apply_step(
    step: Compressor,
    network: nn.Module,
    changes: Sequence[Change],
    build: Callable[[Sequence[Change]], nn.Module],
    step_inputs: StepInputs,
) -> CompressionResult:
    """Apply a step to a network that was changed before.

    Quantization always stays the last change. If the network is quantized, the step works on its
    dequantized weights, and afterwards the network is quantized again with the earlier settings,
    except for layers that the step itself quantizes.

    Args:
        step: the step to apply.
        network: the network with its weights, on the device.
        changes: all earlier changes to it.
        build: builds the network with the structure of some changes, with arbitrary weights.
        step_inputs: samples and a seed.

    Returns:
        The result, with all changes to the network.

    Raises:
        UserError: the step can't be applied to this network.
    """
    quantizations = [change for change in changes if change["name"] in QUANTIZING]
    earlier = [change for change in changes if change["name"] not in QUANTIZING]
    if quantizations:
        device = first_tensor(step_inputs.sample).device
        network = dequantize_network(network, build(earlier).to(device).eval())
    names = {name for name, _ in network.named_parameters()}
    result = step.apply(network, step_inputs)
    new_changes, notes = list(result.changes), list(result.notes)
    new_quantizations = [change["name"] for change in new_changes if change["name"] in QUANTIZING]
    if not new_quantizations:
        names = {name for name, _ in result.network.named_parameters()}
    for change in quantizations:
        if new_quantizations and STATIC in (change["name"], *new_quantizations):
            continue  # static quantization covers all layers, so the new one replaces the old one
        quantized = requantize(result.network, change, step_inputs)
        if quantized is None:
            continue
        result = quantized
        new_changes += quantized.changes
        if not new_quantizations:
            notes += [*quantized.notes, "the network was quantized again with the earlier settings"]
    replaced = [name for name in weights_with_zeros(earlier) if name not in names]
    if replaced:
        notes.append(f"{len(replaced)} pruned layers were replaced: their zeros are no longer kept")
    all_changes = [_without_missing(change, names) for change in (*earlier, *new_changes)]
    return CompressionResult(result.network, all_changes, notes, result.ranges)


def _without_missing(change: Change, names: set[str]) -> Change:
    """Remove weights that the network no longer has from a record of zeros."""
    if change["name"] != "zeros":
        return change
    return zeros_change([name for name in change["weights"] if name in names])
