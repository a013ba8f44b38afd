"""From a network and samples of its inputs to a network that is quantized."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, fx, nn

from kdrun.compress.calibrators import Calibrator, Grid, Seen, scale_and_zero
from kdrun.compress.fx_graph import answer_of, is_part, trace
from kdrun.compress.quantize.layers import Stored
from kdrun.compress.quantize.quantization_plan import Plan, source
from kdrun.compress.quantize.quantized_network import Quantized, left_in_float
from kdrun.compress.quantize.static import quantize, quantizers
from kdrun.compress.quantize.weight_scales import WeightGrid
from kdrun.compress.structure_changes import Ranges
from kdrun.core.errors import UserError

# What runtimes have int8 kernels for. Where 0 is not the middle, a ReLU needs no step of its own.
ACTIVATIONS = Grid(8, symmetric=False)
WEIGHTS = WeightGrid(Grid(8, symmetric=True), per_channel=True)

Looks = Mapping[str, Callable[[Tensor], None]]


@torch.no_grad()
def calibrate(
    network: nn.Module,
    plan: Plan,
    batches: Sequence[Tensor],
    calibrator: Calibrator,
    activations: Grid,
    weights: WeightGrid,
) -> Quantized:
    """Quantize a network whose activations are as these batches make them.

    Args:
        network: its norms folded; it stays as it was.
        plan: what `quantizable` answered of it.
        batches: normalized inputs (B, ...) on the network's device; they are gone through twice.
        calibrator: chooses the range of each activation; weights reach as far as they do.
        activations: the whole numbers of activations.
        weights: those of weights.

    Raises:
        UserError: there is no sample; a channel of the inputs, or a value, is of no use.
    """
    check_inputs(batches)
    seen = _watch(network, plan, batches, calibrator.counts)
    keys: dict[str, Any] = {
        "layers": list(plan.layers),
        "after": list(plan.after),
        "activations": asdict(activations),
        "weights": {**asdict(weights.grid), "per_channel": weights.per_channel},
    }
    made = quantize(network, **keys)
    ranges: Ranges = {}
    for name, quantizer in quantizers(made).items():
        low, high = calibrator.range(seen[name], activations)
        ranges[name] = {"seen": [seen[name].low, seen[name].high], "kept": [low, high]}
        scale, zero = scale_and_zero(low, high, activations)
        quantizer.scale.fill_(scale)
        quantizer.zero.fill_(zero)
    _store(network, made, plan)
    chosen = f"ranges are chosen from {sum(len(batch) for batch in batches)} training samples"
    notes = (chosen, *plan.notes, *left_in_float(network, plan.layers), *_silent(seen))
    return Quantized(made, {"name": "quantize", **keys}, notes, ranges)


def _store(network: nn.Module, made: nn.Module, plan: Plan) -> None:
    """Fill the layers' whole numbers in, with the scales of what they read."""
    known, modules = quantizers(made), dict(network.named_modules())
    for node in trace(network).nodes:
        if node.op != "call_module" or node.target not in plan.layers:
            continue
        # Any: nn.Module's own attributes are typed as tensors or modules alike.
        layer: Any = network.get_submodule(node.target)
        stored = made.get_submodule(node.target)
        rounding = source(node.all_input_nodes[0], plan.after, modules)
        assert isinstance(stored, Stored)
        assert rounding is not None
        stored.store(layer.weight, layer.bias, known[rounding.name].scale)


def _watch(
    network: nn.Module, plan: Plan, batches: Sequence[Tensor], counts: bool
) -> dict[str, Seen]:
    """The extremes and, if wanted, the histograms of what is to be rounded."""
    seen = {name: Seen() for name in plan.after}
    network = deepcopy(network).eval()
    graph = trace(network)
    looks: list[Looks] = [{name: one.extend for name, one in seen.items()}]
    if counts:
        looks.append({name: one.count for name, one in seen.items()})
    for look in looks:
        watcher = _Watcher(network, graph, look)
        for batch in batches:
            watcher.run(batch)
    return seen


class _Watcher(fx.Interpreter):
    """Runs a graph, and shows the values of some nodes on their way."""

    def __init__(self, network: nn.Module, graph: fx.Graph, look: Looks) -> None:
        super().__init__(network, graph=graph)
        self.look = look

    def run_node(self, n: fx.Node) -> Any:
        value = self.env[answer_of(n)] if is_part(n) else super().run_node(n)
        if n.name in self.look:
            self.look[n.name](value)
        return value


def check_inputs(batches: Sequence[Tensor]) -> None:
    """Whether ranges can be known from these inputs (B, C, ...).

    Raises:
        UserError: there is none, or a channel is the same number everywhere.
    """
    if not sum(len(batch) for batch in batches):
        raise UserError(
            "the calibration set is empty.", "  quantization needs samples: a larger calibration"
        )
    if batches[0].dim() < 3:
        return
    channels = [batch.movedim(1, 0).flatten(1) for batch in batches if len(batch)]
    low = torch.stack([one.amin(1) for one in channels]).amin(0)
    high = torch.stack([one.amax(1) for one in channels]).amax(0)
    for channel in (low == high).nonzero().flatten().tolist():
        raise UserError(
            f"channel {channel} of the calibration set is {low[channel].item():g} everywhere.",
            "  its range can't be known from that: take other or more samples, or data in which"
            " this channel says something",
        )


def _silent(seen: dict[str, Seen]) -> list[str]:
    names = [name for name, one in seen.items() if one.low == one.high]
    if not names:
        return []
    some = f"{', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
    return [f"{len(names)} of {len(seen)} activations are the same number everywhere: {some}"]
