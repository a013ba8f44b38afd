"""Measuring the latency of several networks in ONNX Runtime."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.inputs.types import Inputs
from kdrun.core.records.summary import Latency
from kdrun.measure.latency import summarize, time_in_turns

ONNX = "onnxruntime"  # the name of the runtime in records


def onnx_latencies(
    files: Mapping[str, Path], samples: Mapping[str, Inputs], threads: int, seconds: float
) -> dict[str, Latency]:
    """Measure the latency of ONNX files in turns, as `latency.latencies` does for networks.

    The time of a call includes copying its outputs.

    Args:
        files: name -> ONNX file.
        samples: name -> a batch of the file's inputs in host memory; named tensors have the names
            of the file's inputs.
        threads: CPU threads within an operator.
        seconds: the time to spend on all files together, a tenth of it on warming up.

    Raises:
        UserError: ONNX Runtime isn't installed.
    """
    sessions = {name: start_session(path, threads) for name, path in files.items()}
    calls = {
        name: partial(session.run, None, _feeds(session, samples[name]))
        for name, session in sessions.items()
    }
    times = time_in_turns(calls, seconds)
    return {name: summarize(times[name], samples[name], threads, runtime=ONNX) for name in files}


def _feeds(session: Any, sample: Inputs) -> dict[str, np.ndarray]:
    """Return the arrays that a session takes, by the name of its input."""
    names = [node.name for node in session.get_inputs()]
    tensors = [sample] if isinstance(sample, Tensor) else [sample[name] for name in names]
    return {name: tensor.contiguous().numpy() for name, tensor in zip(names, tensors, strict=True)}


def start_session(path: Path, threads: int) -> Any:
    """Return an onnxruntime.InferenceSession of a file on the CPU, which logs errors only.

    Raises:
        UserError: ONNX Runtime isn't installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError("ONNX Runtime needs an extra.", "  pip install 'kdrun[export]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
