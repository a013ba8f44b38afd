"""LSTM layers in exported networks: one operator each, for texts of any length.

torch.export would write a layer out step by step, for the length of its example alone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from operator import getitem
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

_LIBRARY = torch.library.Library("kdrun_export", "DEF")
_LIBRARY.define(
    "lstm(Tensor x, Tensor inner, Tensor recurrent, Tensor bias, Tensor more) -> Tensor"
)
_DIRECTIONS = ("", "_reverse")  # endings of the names of a layer's weights


def _lstm(x: Tensor, inner: Tensor, recurrent: Tensor, bias: Tensor, more: Tensor) -> Tensor:
    """Return the states (B, T, H) of an LSTM that reads from the left.

    Args:
        x: (B, T, C) inputs.
        inner: (4 H, C) weights of the inputs.
        recurrent: (4 H, H) weights of the states.
        bias: (4 H,).
        more: (4 H,) a second bias.
    """
    start = x.new_zeros(1, len(x), recurrent.shape[1])
    weights = (inner, recurrent, bias, more)
    return torch.lstm(x, (start, start), weights, True, 1, 0.0, False, False, True)[0]


def _fake(x: Tensor, inner: Tensor, recurrent: Tensor, bias: Tensor, more: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:2], recurrent.shape[1])


_LIBRARY.impl("lstm", _lstm, "CompositeExplicitAutograd")
torch.library.register_fake("kdrun_export::lstm", _fake, lib=_LIBRARY)
lstm = torch.ops.kdrun_export.lstm


@contextmanager
def traceable_lstms(network: nn.Module) -> Iterator[None]:
    """Make the LSTM layers of a network call the operator `lstm`."""
    layers = [module for module in network.modules() if _is_supported(module)]
    for layer in layers:
        layer.forward = partial(_forward, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def with_torch_lstms(program: ExportedProgram) -> ExportedProgram:
    """Return a graph in which torch's own operator, which every torch has, replaces `lstm`."""
    if all(node.target is not lstm.default for node in program.graph.nodes):
        return program
    program = deepcopy(program)
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if node.target is lstm.default:
            _replace(graph, node)
    program.graph_module.recompile()
    return program


def onnx_lstm() -> Callable[..., Any]:
    """Return the translation of the operator to ONNX's LSTM, whose gates have another order."""
    from onnxscript import opset18

    op: Any = opset18

    def ordered(weight: Any) -> Any:
        into, forget, cell, out = op.Split(weight, num_outputs=4, axis=0)
        return op.Concat(into, out, forget, cell, axis=0)

    def translate(x: Any, inner: Any, recurrent: Any, bias: Any, more: Any) -> Any:
        first = op.Constant(value_ints=[0])
        weights = (op.Unsqueeze(ordered(weight), first) for weight in (inner, recurrent))
        biases = op.Unsqueeze(op.Concat(ordered(bias), ordered(more), axis=0), first)
        rows = op.Transpose(x, perm=[1, 0, 2])
        states, _, _ = op.LSTM(rows, *weights, biases, hidden_size=recurrent.shape[1])
        return op.Transpose(op.Squeeze(states, op.Constant(value_ints=[1])), perm=[1, 0, 2])

    return translate


def _is_supported(module: nn.Module) -> bool:
    """Return whether the operator can compute a layer: not if it projects or drops its states."""
    if type(module) is not nn.LSTM or not (module.batch_first and module.bias):
        return False
    return not module.proj_size and not (module.training and module.dropout)


# Any: the attributes of an LSTM that have the names of its weights.
def _forward(layer: Any, x: Tensor) -> tuple[Tensor, None]:
    """Return the states (B, T, C) of the last layer, and None for those after the last token."""
    for number in range(layer.num_layers):
        directions = _DIRECTIONS[: 2 if layer.bidirectional else 1]
        states = [_direction(layer, x, f"_l{number}{ending}") for ending in directions]
        x = torch.cat(states, -1) if len(states) > 1 else states[0]
    return x, None


def _direction(layer: Any, x: Tensor, ending: str) -> Tensor:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = [getattr(layer, name + ending) for name in names]
    if ending.endswith("_reverse"):
        return lstm(x.flip(1), *weights).flip(1)
    return lstm(x, *weights)


def _replace(graph: torch.fx.Graph, node: torch.fx.Node) -> None:
    aten = torch.ops.aten
    x, *weights = node.args
    value = node.meta["val"]
    hidden = value.shape[-1]
    with graph.inserting_before(node):
        batch = graph.call_function(aten.sym_size.int, (x, 0))
        start = graph.call_function(aten.new_zeros.default, (x, [1, batch, hidden]))
        numbers = (True, 1, 0.0, False, False, True)
        outputs = graph.call_function(aten.lstm.input, (x, [start, start], weights, *numbers))
        states = graph.call_function(getitem, (outputs, 0))
    batch.meta["val"] = value.shape[0]
    start.meta["val"] = value.new_empty(1, value.shape[0], hidden)
    outputs.meta["val"] = (value, start.meta["val"], start.meta["val"])
    states.meta["val"] = value
    name = node.name
    node.replace_all_uses_with(states)
    graph.erase_node(node)
    states.name = name
