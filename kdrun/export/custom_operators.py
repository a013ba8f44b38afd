"""Operators of kdrun's own that a network may hold: who registers them, and their ONNX forms."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch.export import ExportedProgram

NAMESPACE = "kdrun"  # torch.ops.kdrun: what quantized networks compute with
# Modules whose import registers the operators: whoever loads a .pt2 of them imports these first.
REGISTERED_BY: tuple[str, ...] = ("kdrun.compress.quantize.ops",)
# "module:function" of functions that answer a `custom_translation_table` of torch.onnx.export.
TRANSLATED_BY: tuple[str, ...] = ("kdrun.compress.quantize.onnx_translations:translations",)


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Operator -> the function that builds it of ONNX's operators."""
    found: dict[Callable[..., Any], Callable[..., Any]] = {}
    for place in TRANSLATED_BY:
        module, _, name = place.partition(":")
        found |= getattr(import_module(module), name)()
    return found


def is_quantized(program: ExportedProgram) -> bool:
    """Whether a network computes with operators of ours, which its runtime may round otherwise."""
    nodes = program.graph_module.graph.nodes
    return any(getattr(node.target, "namespace", None) == NAMESPACE for node in nodes)
