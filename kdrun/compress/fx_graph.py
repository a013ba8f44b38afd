"""Traces a network with torch.fx into a graph of its operators; modules keep their paths."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from kdrun.core.errors import UserError, first_line
from kdrun.core.mode import evaluating

_QUANTIZED_LAYERS = "kdrun.compress.quantize."  # modules of these classes are traced as one call
_MARKER = "module_output"  # key in the metadata of marker nodes
_TORCH = str(Path(torch.__file__).parent)


class ModuleMarker(nn.Module):
    """Marks the output of a module that is traced into its operators, and returns this output.

    It has the module's path, so that a forward hook at this path still gets the module's input and
    output.
    """

    def forward(self, module_input: Any, module_output: Any) -> Any:
        return module_output


def has_graph(network: nn.Module) -> bool:
    """Return whether a network is one to trace; its attribute `traceable` says if it is not."""
    return getattr(network, "traceable", True)


def trace_graph(network: nn.Module) -> fx.Graph:
    """Return the graph of a network in evaluation mode; the network is left unchanged.

    A module of torch.nn, or a quantized layer, becomes one call of its path. Any other module is
    traced into its operators, and a marker node follows them, which calls the module's path with
    its input and output. A `GraphModule` of this graph has a `ModuleMarker` at that path.

    Raises:
        UserError: the network can't be traced. The message names the operation that prevents it,
            and its place.
    """
    tracer = _Tracer()
    try:
        with evaluating(network):
            return tracer.trace(network)
    except Exception as error:
        raise UserError(
            f"the graph of this network can't be read: {first_line(error)}.",
            f"  in {tracer.current_module(network)}{_source_line(error)}",
            "  steps that need no graph work with it: quantize_weights, quantize_dynamic",
        ) from error


def is_marker(node: fx.Node) -> bool:
    """Return whether a node only marks the output of a module."""
    return _MARKER in node.meta


def marked_output(marker: fx.Node) -> fx.Node:
    """Return the node whose output a marker node marks."""
    output = marker.args[1]
    assert isinstance(output, fx.Node)
    return output


def consumers(node: fx.Node) -> list[fx.Node]:
    """Return the nodes that use a node's output, including markers of it.

    The marker of a module that only reads the output as its input is left out.
    """
    return [user for user in node.users if not is_marker(user) or marked_output(user) is node]


class _Tracer(fx.Tracer):
    def __init__(self) -> None:
        super().__init__()
        self.open_modules: list[str] = []  # paths of the modules being traced, outermost first

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if super().is_leaf_module(m, module_qualified_name):
            return True
        return type(m).__module__.startswith(_QUANTIZED_LAYERS)

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        path = self.path_of_module(m)
        self.open_modules.append(path)
        output = super().call_module(m, forward, args, kwargs)
        self.open_modules.pop()
        if not self.is_leaf_module(m, path) and isinstance(output, fx.Proxy):
            module_input = args[0] if args else None
            output = self.create_proxy("call_module", path, (module_input, output), {})
            output.node.meta[_MARKER] = True
        return output

    def current_module(self, network: nn.Module) -> str:
        """Return path and class of the innermost module that is being traced."""
        path = self.open_modules[-1] if self.open_modules else ""
        class_name = type(network.get_submodule(path)).__name__
        return f"{path!r} ({class_name})" if path else class_name


def _source_line(error: Exception) -> str:
    """Return a clause with the innermost line of the network's code that raised the error."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_TORCH, __file__, "<"))
    ]
    if not frames:
        return ""
    last = frames[-1]
    return f", line {last.lineno} of {Path(last.filename).name}: {last.line}"
