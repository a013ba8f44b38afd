"""The custom operators of quantized networks, and the modules that register them."""

from torch.export import ExportedProgram

NAMESPACE = "kdrun"  # the operators are torch.ops.kdrun.*
# Modules that register the operators when imported. Import them before loading a .pt2 file.
REGISTERED_BY: tuple[str, ...] = ("kdrun.compress.quantize.ops",)


def calls_custom_operators(program: ExportedProgram) -> bool:
    """Return whether a traced network calls kdrun's custom operators, as quantized networks do."""
    nodes = program.graph_module.graph.nodes
    return any(getattr(node.target, "namespace", None) == NAMESPACE for node in nodes)
