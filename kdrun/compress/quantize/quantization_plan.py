"""What of a network can be quantized: its layers, and where activations are rounded."""

import operator
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx, nn

from kdrun.compress.fx_graph import answer_of, is_part, readers, trace
from kdrun.compress.quantize.layers import KINDS
from kdrun.core.errors import UserError

# What cuts values off: one step with the layer or the sum before it.
_CLIPS = {nn.ReLU, nn.ReLU6, F.relu, F.relu6, torch.relu, "relu", "relu_"}

# What mixes values that lie on a grid, in whole numbers where runtimes can.
_MIXES = {
    *(operator.add, operator.iadd, operator.mul, operator.imul),
    *(torch.add, torch.mul, torch.cat, torch.concat, torch.mean),
    *(F.avg_pool1d, F.avg_pool2d, F.avg_pool3d),
    *(F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d),
    *(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *("add", "add_", "mul", "mul_", "mean"),
}

# What moves or picks values, which stay on their grid.
_MOVES = {
    *(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout),
    *(nn.Flatten, nn.Unflatten, nn.ZeroPad2d, nn.ChannelShuffle, nn.PixelShuffle),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
    *(F.max_pool1d, F.max_pool2d, F.max_pool3d, F.adaptive_max_pool2d),
    *(F.dropout, F.dropout1d, F.dropout2d, F.dropout3d),
    *(operator.getitem, torch.flatten, torch.reshape, torch.permute, torch.transpose),
    *(torch.squeeze, torch.unsqueeze, torch.chunk, torch.split),
    *("flatten", "unflatten", "view", "reshape", "permute", "transpose", "contiguous"),
    *("squeeze", "unsqueeze", "chunk", "split", "expand"),
}
_SPLITS = {torch.chunk, torch.split, "chunk", "split"}
_SHAPES = {getattr, "size", "dim", "shape"}  # ask about a tensor, and compute nothing


@dataclass(frozen=True)
class Plan:
    """What is quantized of a network.

    Attributes:
        layers: paths of modules whose weights become whole numbers.
        after: names of the graph's nodes whose values are rounded.
        notes: what stays in float, in sentences.
    """

    layers: tuple[str, ...]
    after: tuple[str, ...]
    notes: tuple[str, ...]


def quantizable(network: nn.Module) -> Plan:
    """Which layers can have int8 weights, and where activations are rounded for that.

    The inputs of each convolution and linear layer, and what they answer, after the ReLU that
    alone reads it; sums, products, concatenations and means of such values. An answer of the
    network that a linear layer gives stays as it is. All else is computed in float.

    Args:
        network: its norms are folded (`fold_batch_norm`); norms that are not stay in float.

    Raises:
        UserError: the network can't be traced, or no layer is of a kind that can be quantized.
    """
    graph = trace(network)
    planner = _Planner(graph, dict(network.named_modules()))
    for node in graph.nodes:
        planner.visit(node)
    if not planner.layers:
        raise UserError(
            "nothing of this network can be quantized: it has no convolution or linear layer"
            " that is a module of its own, used once.",
            *(f"  {note}" for note in planner.notes()),
        )
    return Plan(tuple(planner.layers), tuple(planner.after), planner.notes())


def source(
    node: fx.Node, after: Collection[str], modules: Mapping[str, nn.Module]
) -> fx.Node | None:
    """The node whose rounding put this one's values on their grid; None where none did."""
    while node.name not in after:
        if is_part(node):
            node = answer_of(node)
        elif kind_of(node, modules) in _MOVES:
            node = node.all_input_nodes[0]
        else:
            return None
    return node


def is_split(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Whether it is one of the parts that a tensor was cut into."""
    whole = node.args[0] if node.target is operator.getitem else None
    return isinstance(whole, fx.Node) and kind_of(whole, modules) in _SPLITS


# Any: a module's type, a function, a method's name; None for what is no operator.
def kind_of(node: fx.Node, modules: Mapping[str, nn.Module]) -> Any:
    """What an operator is, among the others of its kind."""
    if node.op == "call_module":
        return type(modules[str(node.target)])
    return node.target if node.op in ("call_function", "call_method") else None


class _Planner:
    """Goes through a graph in its order, and keeps what lies on a grid by then."""

    def __init__(self, graph: fx.Graph, modules: dict[str, nn.Module]) -> None:
        self.modules = modules
        self.layers: list[str] = []
        self.after: dict[str, None] = {}
        self.on_grid: set[fx.Node] = set()
        self.joined: set[fx.Node] = set()  # clips that are one step with what is before them
        self.numbers: set[fx.Node] = set()  # sizes, and what is computed of sizes alone
        self.left: Counter[str] = Counter()
        calls = (node.target for node in graph.nodes if node.op == "call_module")
        self.uses = Counter(calls)

    def visit(self, node: fx.Node) -> None:
        """Decide on one node."""
        kind, given = self._kind(node), node.all_input_nodes
        if node.op in ("placeholder", "get_attr", "output"):
            return
        if kind in _SHAPES or (given and self.numbers.issuperset(given)):
            self.numbers.add(node)
        elif kind in KINDS and self._ready(node):
            self._layer(node)
        elif node in self.joined:
            self._round(node)
        elif is_part(node) or kind in _MOVES:
            if (answer_of(node) if is_part(node) else given[0]) in self.on_grid:
                self.on_grid.add(node)
        elif kind in _MIXES | _CLIPS and self._mixes(given):
            self._leave(node)
        else:
            self.left[_title(kind)] += 1

    def notes(self) -> tuple[str, ...]:
        """What stays in float, in sentences."""
        found = [f"{count} {name}" if count > 1 else name for name, count in self.left.items()]
        return (f"stay in float: {', '.join(found)}",) if found else ()

    def _layer(self, node: fx.Node) -> None:
        given = node.args[0]
        assert isinstance(given, fx.Node)
        if given not in self.on_grid:
            self._round(given)
        self.layers.append(str(node.target))
        linear = isinstance(self.modules[str(node.target)], nn.Linear)
        if not (linear and self._answers(node)):
            self._leave(node)

    def _mixes(self, given: list[fx.Node]) -> bool:
        """Whether all that is read lies on grids, or is the network's input, which then does."""
        if not all(one in self.on_grid or one.op == "placeholder" for one in given):
            return False
        for one in given:
            if one not in self.on_grid:
                self._round(one)
        return bool(given)

    def _leave(self, node: fx.Node) -> None:
        """Round what a node answers, or what the clip makes of it that alone reads it."""
        reader = self._only_reader(node)
        if reader is not None and self._kind(reader) in _CLIPS:
            self.joined.add(reader)
        else:
            self._round(node)

    def _round(self, node: fx.Node) -> None:
        self.after[node.name] = None
        self.on_grid.add(node)

    def _only_reader(self, node: fx.Node) -> fx.Node | None:
        while len(readers(node)) == 1:
            (node,) = readers(node)
            if not is_part(node) and self._kind(node) is not nn.Identity:
                return node
        return None

    def _answers(self, node: fx.Node) -> bool:
        """Whether nobody but the network's caller reads it."""
        return all(
            user.op == "output"
            or ((is_part(user) or self._kind(user) in _MOVES) and self._answers(user))
            for user in readers(node)
        )

    def _ready(self, node: fx.Node) -> bool:
        """Whether a layer is used once, on one tensor, and has weights of its own in float."""
        layer: Any = self.modules[str(node.target)]
        whole = isinstance(node.args[0], fx.Node) and layer.weight.is_floating_point()
        if self.uses[node.target] == 1 and whole:
            return True
        self.left[f"{type(layer).__name__} {node.target!r} (used at several places)"] += 1
        return False

    def _kind(self, node: fx.Node) -> Any:
        return kind_of(node, self.modules)


def _title(kind: Any) -> str:
    return kind if isinstance(kind, str) else str(getattr(kind, "__name__", kind))
