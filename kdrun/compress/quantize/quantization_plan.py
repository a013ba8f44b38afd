"""Plans which layers of a network are quantized, and which activations are rounded for that."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torch import fx, nn

from kdrun.compress.fx_graph import consumers, has_graph, is_marker, marked_output, trace_graph
from kdrun.compress.quantize.layer_operation import QUANTIZABLE
from kdrun.compress.quantize.layerwise import layers_to_round
from kdrun.compress.quantize.operator_kinds import (
    CLIPPING,
    COMBINING,
    MOVING,
    SHAPE_READING,
    kind_of,
)
from kdrun.core.errors import UserError


@dataclass(frozen=True)
class QuantizationPlan:
    """What static quantization changes in a network.

    Attributes:
        layers: paths of the modules whose weights become int8.
        rounded: names of the graph nodes whose outputs are rounded to a grid; empty if the network
            has no graph, where each of the layers rounds its own input.
        notes: sentences on what stays in float.
    """

    layers: tuple[str, ...]
    rounded: tuple[str, ...]
    notes: tuple[str, ...]


def plan_quantization(network: nn.Module) -> QuantizationPlan:
    """Find the layers that can have int8 weights, and the activations to round for them.

    The input and the output of each convolution and linear layer are rounded; if a ReLU is the only
    consumer of the output, the ReLU's output is rounded instead. Sums, products, concatenations and
    means of rounded values are rounded, too. Everything else stays in float, also the network's
    output if a linear layer computes it.

    Args:
        network: a network whose batch norms are folded (`fold_batch_norm`). Norms that are not
            folded stay in float.

    Raises:
        UserError: the network can't be traced, or it has no layer that can be quantized.
    """
    if not has_graph(network):
        note = "all but the inputs and weights of linear layers stays in float"
        return QuantizationPlan(layers_to_round(network), (), (note,))
    graph = trace_graph(network)
    planner = _Planner(graph, dict(network.named_modules()))
    for node in graph.nodes:
        planner.visit(node)
    if not planner.layers:
        raise UserError(
            "this network can't be quantized: it has no convolution or linear layer"
            " that is a module and is called once.",
            *(f"  {note}" for note in planner.notes()),
        )
    return QuantizationPlan(tuple(planner.layers), tuple(planner.rounded), planner.notes())


def rounding_of(
    node: fx.Node, rounded: Collection[str], modules: Mapping[str, nn.Module]
) -> fx.Node | None:
    """Return the node at which the values of a node were rounded; None if they were not.

    Args:
        node: a node of a traced graph.
        rounded: names of the nodes whose outputs are rounded.
        modules: the modules of the network by path.
    """
    while node.name not in rounded:
        if is_marker(node):
            node = marked_output(node)
        elif kind_of(node, modules) in MOVING:
            node = node.all_input_nodes[0]
        else:
            return None
    return node


class _Planner:
    """Visits the nodes of a graph in order and decides which outputs are rounded.

    Attributes:
        layers: paths of the layers to quantize.
        rounded: names of the nodes whose outputs are rounded, in order (the keys of a dict).
        on_grid: nodes whose output values lie on a grid.
        fused_clips: clipping nodes that are computed as part of the node before them.
        shape_nodes: nodes that read shapes, or compute only with these.
        in_float: description of the operators that stay in float -> their number.
    """

    def __init__(self, graph: fx.Graph, modules: dict[str, nn.Module]) -> None:
        self.modules = modules
        self.layers: list[str] = []
        self.rounded: dict[str, None] = {}
        self.on_grid: set[fx.Node] = set()
        self.fused_clips: set[fx.Node] = set()
        self.shape_nodes: set[fx.Node] = set()
        self.in_float: Counter[str] = Counter()
        self.calls = Counter(node.target for node in graph.nodes if node.op == "call_module")

    def visit(self, node: fx.Node) -> None:
        """Decide on one node, after all nodes that it reads."""
        kind, inputs = self._kind(node), node.all_input_nodes
        if node.op in ("placeholder", "get_attr", "output"):
            return
        if kind in SHAPE_READING or (inputs and self.shape_nodes.issuperset(inputs)):
            self.shape_nodes.add(node)
        elif kind in QUANTIZABLE:
            self._visit_layer(node)
        elif node in self.fused_clips:
            self._round(node)
        elif is_marker(node) or kind in MOVING:
            if (marked_output(node) if is_marker(node) else inputs[0]) in self.on_grid:
                self.on_grid.add(node)
        elif kind in COMBINING | CLIPPING and self._round_inputs(inputs):
            self._round_output(node)
        else:
            self.in_float[_kind_name(kind)] += 1

    def notes(self) -> tuple[str, ...]:
        """Sentences on what stays in float."""
        names = [f"{count} {name}" if count > 1 else name for name, count in self.in_float.items()]
        return (f"stay in float: {', '.join(names)}",) if names else ()

    def _visit_layer(self, node: fx.Node) -> None:
        """Quantize a layer if it is called once, as layer(x), and its weights are in float."""
        path = str(node.target)
        layer: Any = self.modules[path]
        layer_input = node.args[0] if node.args else None
        if not layer.weight.is_floating_point():
            reason = "weights not in float"
        elif self.calls[node.target] > 1:
            reason = "used at several places"
        elif not isinstance(layer_input, fx.Node):
            reason = "not called as layer(x)"
        else:
            self._add_layer(node, layer_input)
            return
        self.in_float[f"{type(layer).__name__} {path!r} ({reason})"] += 1

    def _add_layer(self, node: fx.Node, layer_input: fx.Node) -> None:
        if layer_input not in self.on_grid:
            self._round(layer_input)
        self.layers.append(str(node.target))
        linear = isinstance(self.modules[str(node.target)], nn.Linear)
        if not (linear and self._is_network_output(node)):
            self._round_output(node)

    def _round_inputs(self, inputs: list[fx.Node]) -> bool:
        """Round those inputs that are the network's; return whether all inputs are on grids."""
        if not all(node in self.on_grid or node.op == "placeholder" for node in inputs):
            return False
        for node in inputs:
            if node not in self.on_grid:
                self._round(node)
        return bool(inputs)

    def _round_output(self, node: fx.Node) -> None:
        """Round a node's output, after the clipping node if that is its only consumer."""
        consumer = self._only_consumer(node)
        if consumer is not None and self._kind(consumer) in CLIPPING:
            self.fused_clips.add(consumer)
        else:
            self._round(node)

    def _round(self, node: fx.Node) -> None:
        self.rounded[node.name] = None
        self.on_grid.add(node)

    def _only_consumer(self, node: fx.Node) -> fx.Node | None:
        """Return the operator that alone uses a node's output, or None; identities are skipped."""
        while len(consumers(node)) == 1:
            (node,) = consumers(node)
            if not is_marker(node) and self._kind(node) is not nn.Identity:
                return node
        return None

    def _is_network_output(self, node: fx.Node) -> bool:
        """Return whether a node's values are only used as the network's output."""
        return all(
            user.op == "output"
            or ((is_marker(user) or self._kind(user) in MOVING) and self._is_network_output(user))
            for user in consumers(node)
        )

    def _kind(self, node: fx.Node) -> Any:
        return kind_of(node, self.modules)


def _kind_name(kind: Any) -> str:
    return kind if isinstance(kind, str) else str(getattr(kind, "__name__", kind))
