"""Lists the modules that register and translate the custom operators of quantized networks."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch.export import ExportedProgram

NAMESPACE = "kdrun"  # the operators are torch.ops.kdrun.*
# Modules that register the operators when imported. Import them before loading a .pt2 file.
REGISTERED_BY: tuple[str, ...] = ("kdrun.compress.quantize.ops",)
# Functions ("module:function") that return a `custom_translation_table` for torch.onnx.export.
TRANSLATED_BY: tuple[str, ...] = ("kdrun.compress.quantize.onnx_translations:translations",)


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return custom operator -> the function that builds it from ONNX operators."""
    table: dict[Callable[..., Any], Callable[..., Any]] = {}
    for path in TRANSLATED_BY:
        module, _, function = path.partition(":")
        table |= getattr(import_module(module), function)()
    return table


def is_quantized(program: ExportedProgram) -> bool:
    """Return whether a traced network calls kdrun's custom operators, as quantized networks do."""
    nodes = program.graph_module.graph.nodes
    return any(getattr(node.target, "namespace", None) == NAMESPACE for node in nodes)
