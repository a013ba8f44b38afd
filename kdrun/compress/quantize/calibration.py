"""Quantizes a network statically, with ranges of activations calibrated on samples."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, fx, nn

from kdrun.compress.activation_statistics import ActivationStatistics
from kdrun.compress.calibrators import Calibrator
from kdrun.compress.fx_graph import is_marker, marked_output, trace_graph
from kdrun.compress.quantization_grid import QuantizationGrid, affine_map
from kdrun.compress.quantize.layerwise import observe_inputs
from kdrun.compress.quantize.quantization_plan import QuantizationPlan
from kdrun.compress.quantize.quantized_network import float_share_note
from kdrun.compress.quantize.static import (
    activation_quantizers,
    input_quantizers,
    static_structure,
)
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.compress.structure_changes import STATIC, ActivationRanges, CompressionResult
from kdrun.core.errors import UserError
from kdrun.core.inputs.types import Inputs, first_tensor
from kdrun.core.memory_format import contiguous, contiguous_reason

Observers = Mapping[str, Callable[[Tensor], None]]  # by the name of the observed graph node


@torch.no_grad()
def calibrate(
    network: nn.Module,
    plan: QuantizationPlan,
    batches: Sequence[Inputs],
    calibrator: Calibrator,
    activations: QuantizationGrid,
    weights: WeightGrid,
) -> CompressionResult:
    """Quantize a network, with ranges of activations calibrated on these batches.

    Args:
        network: a network with folded batch norms; it is left unchanged.
        plan: the result of `plan_quantization` for the network.
        batches: inputs without padding on the network's device; they are passed through the
            network once or twice.
        calibrator: chooses the range of each activation. Weights keep their whole range.
        activations: the integers that activations are rounded to.
        weights: how weights are quantized.

    Raises:
        UserError: there is no sample; a channel of the inputs is constant; or an activation is
            not finite.
    """
    check_inputs(batches)
    statistics = _collect_statistics(network, plan, batches, calibrator.needs_histogram)
    arguments: dict[str, Any] = {
        "layers": list(plan.layers),
        "after": list(plan.rounded),
        "activations": asdict(activations),
        "weights": weights.arguments,
    }
    quantized = static_structure(network, **arguments)
    ranges: ActivationRanges = {}
    for name, quantizer in activation_quantizers(quantized).items():
        activation = statistics[name]
        kept_range = calibrator.range(activation, activations)
        ranges[name] = {"seen": [activation.low, activation.high], "kept": list(kept_range)}
        scale, zero_point = affine_map(kept_range, activations)
        quantizer.scale.fill_(scale)
        quantizer.zero.fill_(zero_point)
    _store_weights(network, quantized)
    source = f"ranges are chosen from {_count(batches)} training samples"
    in_float = float_share_note(network, plan.layers)
    notes = (source, *plan.notes, *in_float, *_constant_activations(statistics))
    return CompressionResult(quantized, [{"name": STATIC, **arguments}], notes, ranges)


def _store_weights(network: nn.Module, quantized: nn.Module) -> None:
    """Fill the int8 layers of a quantized network from the layers in float."""
    for path, quantizer in input_quantizers(quantized).items():
        # Any, as mypy takes each attribute of an nn.Module for a tensor or a module.
        layer: Any = network.get_submodule(path)
        int8_layer: Any = quantized.get_submodule(path)
        int8_layer.store(layer.weight, layer.bias, quantizer.scale)


def _collect_statistics(
    network: nn.Module, plan: QuantizationPlan, batches: Sequence[Inputs], histogram: bool
) -> dict[str, ActivationStatistics]:
    """Return the statistics of each activation that will be rounded; histograms are optional."""
    statistics = {name: ActivationStatistics() for name in plan.rounded or plan.layers}
    network = deepcopy(network).eval()
    graph = trace_graph(network) if plan.rounded else None
    passes: list[Observers] = [{name: each.update_extremes for name, each in statistics.items()}]
    if histogram:
        passes.append({name: each.update_histogram for name, each in statistics.items()})
    for observers in passes:
        if graph is None:
            observe_inputs(network, batches, observers)
            continue
        interpreter = _ObservingInterpreter(network, graph, observers)
        for batch in batches:
            # The interpreter does not call the hook that makes inputs contiguous.
            if isinstance(batch, Tensor) and contiguous_reason(network):
                batch = contiguous(batch)
            interpreter.run(batch)
    return statistics


class _ObservingInterpreter(fx.Interpreter):
    """Runs a graph and passes the outputs of some nodes to their observers."""

    def __init__(self, network: nn.Module, graph: fx.Graph, observers: Observers) -> None:
        super().__init__(network, graph=graph)
        self.observers = observers

    def run_node(self, n: fx.Node) -> Any:
        value = self.env[marked_output(n)] if is_marker(n) else super().run_node(n)
        if n.name in self.observers:
            self.observers[n.name](value)
        return value


def check_inputs(batches: Sequence[Inputs]) -> None:
    """Check that ranges can be calibrated on these inputs: images (B, C, ...), or texts.

    Raises:
        UserError: there is no sample, or a channel of the images has the same value everywhere.
    """
    if not _count(batches):
        raise UserError(
            "the calibration set is empty.", "  quantization needs samples: a larger calibration"
        )
    images = [batch for batch in batches if isinstance(batch, Tensor) and len(batch)]
    if not images or images[0].dim() < 3:
        return
    channels = [batch.movedim(1, 0).flatten(1) for batch in images]
    low = torch.stack([values.amin(1) for values in channels]).amin(0)
    high = torch.stack([values.amax(1) for values in channels]).amax(0)
    for channel in (low == high).nonzero().flatten().tolist():
        raise UserError(
            f"channel {channel} of the calibration set is {low[channel].item():g} everywhere.",
            "  its range can't be known from that: take other or more samples, or data in which"
            " this channel varies",
        )


def _count(batches: Sequence[Inputs]) -> int:
    return sum(len(first_tensor(batch)) for batch in batches)


def _constant_activations(statistics: Mapping[str, ActivationStatistics]) -> list[str]:
    """Return a note with the activations that are constant; an empty list if there are none."""
    names = [name for name, activation in statistics.items() if activation.low == activation.high]
    if not names:
        return []
    shown = f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
    count = f"{len(names)} of {len(statistics)} activations"
    return [f"{count} are the same number everywhere: {shown}"]
