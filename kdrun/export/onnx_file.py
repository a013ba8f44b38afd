"""The ONNX format: a file with weights, which ONNX Runtime and many other runtimes run."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from kdrun.compress.quantize.onnx_translations import translations
from kdrun.core.errors import UserError, first_line
from kdrun.export.format import ExportFormat, LoadedFile
from kdrun.export.recurrent import lstm, onnx_lstm
from kdrun.export.trace import OUTPUT, operator_of, suppress_output
from kdrun.measure.onnx_latency import start_session

_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_AXES = ("batch", "length")  # names of axes whose sizes may change
_MAX_BYTES = 2**31 - 1  # of a protobuf message; an ONNX file is one

_EXAMPLE = """\
import json
from pathlib import Path
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("{file}", providers=["CPUExecutionProvider"])
{inputs}
(logits,) = session.run(["logits"], {{{named}}})
classes = json.loads(Path("export.json").read_text(encoding="utf-8"))["classes"]
print([classes[best] for best in logits.argmax(1)])
"""


def encode(program: ExportedProgram) -> bytes:
    """Return the bytes of an ONNX file, without paths and names of source code.

    Raises:
        UserError: an operator has no form in ONNX, and the message names it; or the weights take
            more than 2 GB.
    """
    size = sum(weights.nbytes for weights in program.state_dict.values())
    if size > _MAX_BYTES:
        raise UserError(
            f"the network's weights take {size / 1e9:.1f} GB, and an ONNX file holds 2 GB at most.",
            "  pt2 has no such limit",
        )
    inputs = _inputs(program)
    try:
        with suppress_output():
            exported: Any = torch.onnx.export(
                program,
                dynamo=True,
                input_names=list(inputs),
                output_names=[OUTPUT],
                dynamic_shapes=tuple(inputs.values()),
                custom_translation_table={**translations(), lstm.default: onnx_lstm()},
                verbose=False,
            )
    except Exception as error:
        raise UserError(f"the network can't be written as ONNX: {_reason(error)}.") from error
    model = exported.model_proto  # a property that builds a new message each time
    graph = model.graph
    values = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    for message in (model, graph, *graph.node, *values):
        message.ClearField("metadata_props")
    return bytes(model.SerializeToString())


def load(path: Path) -> LoadedFile:
    """Load an ONNX file into ONNX Runtime on the CPU, with torch's number of threads."""
    import onnx

    session = start_session(path, torch.get_num_threads())
    names = [node.name for node in session.get_inputs()]

    def forward(*tensors: Tensor) -> Tensor:
        arrays = (tensor.contiguous().numpy() for tensor in tensors)
        return torch.from_numpy(session.run([OUTPUT], dict(zip(names, arrays, strict=True)))[0])

    opsets = onnx.load(path, load_external_data=False).opset_import
    return LoadedFile(
        forward=forward,
        runtime=f"onnxruntime {version('onnxruntime')}",
        facts={
            "opset": next(opset.version for opset in opsets if not opset.domain),
            "versions": {name: version(name) for name in ("torch", *_PACKAGES)},
        },
    )


def _inputs(program: ExportedProgram) -> dict[str, dict[int, str]]:
    """Return the name of each input -> its axes whose sizes may change, with their names.

    A single input is images, whatever the network calls them; tokens and masks have their names.
    """
    nodes = [node for node in program.graph.nodes if node.op == "placeholder"]
    inputs = [node for node in nodes if node.name in program.graph_signature.user_inputs]
    names = ["images"] if len(inputs) == 1 else [node.name for node in inputs]
    return {
        name: {
            axis: _AXES[axis]
            for axis, size in enumerate(node.meta["val"].shape)
            if not isinstance(size, int)
        }
        for name, node in zip(names, inputs, strict=True)
    }


def _reason(error: Exception) -> str:
    operator = operator_of(error)
    if operator:
        return f"it has no form for the operator {operator!r}"
    return first_line(error)


ONNX = ExportFormat(encode, load, _EXAMPLE, arrays="numpy", packages=_PACKAGES)
