"""ONNX: one file with its weights inside, run by ONNX Runtime and many others."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from kdrun.core.errors import UserError
from kdrun.export.check import Loaded
from kdrun.export.custom_operators import translations
from kdrun.export.table import NEEDED
from kdrun.export.trace import BATCH, INPUT, OUTPUT, operator_of, quiet
from kdrun.measure.onnx_latency import start_session

_LARGEST = 2**31 - 1  # bytes that protobuf, which the format stands on, writes at once


def encode(program: ExportedProgram) -> bytes:
    """The bytes of an ONNX file, without the paths and names of the code that it came from.

    Raises:
        UserError: an operator without a form in ONNX, which is named; or over 2 GB.
    """
    size = sum(weights.nbytes for weights in program.state_dict.values())
    if size > _LARGEST:
        raise UserError(
            f"the network's weights take {size / 1e9:.1f} GB, and an ONNX file holds 2 GB at most.",
            "  pt2 has no such limit",
        )
    try:
        with quiet():
            found: Any = torch.onnx.export(
                program,
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: BATCH},),
                custom_translation_table=translations() or None,
                verbose=False,
            )
    except Exception as error:
        raise UserError(f"the network can't be written as ONNX: {_reason(error)}.") from error
    proto = found.model_proto  # made anew each time it is asked for
    graph = proto.graph
    values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for part in (proto, graph, *graph.node, *values):
        part.ClearField("metadata_props")
    return bytes(proto.SerializeToString())


def load(path: Path) -> Loaded:
    """The file in ONNX Runtime on the CPU, with as many threads as torch has."""
    import onnx

    session = start_session(path, torch.get_num_threads())
    opsets = onnx.load(path, load_external_data=False).opset_import
    return Loaded(
        answer=lambda images: torch.from_numpy(
            session.run([OUTPUT], {INPUT: images.contiguous().numpy()})[0]
        ),
        runtime=f"onnxruntime {version('onnxruntime')}",
        facts={
            "opset": next(one.version for one in opsets if not one.domain),
            "versions": {name: version(name) for name in ("torch", *NEEDED["onnx"])},
        },
    )


def _reason(error: Exception) -> str:
    operator = operator_of(error)
    if operator:
        return f"it has no form for the operator {operator!r}"
    return str(error).partition("\n")[0].rstrip(".")
