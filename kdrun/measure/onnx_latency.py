"""Measuring the latency of several networks in ONNX Runtime."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.records.summary import Latency
from kdrun.measure.latency import summarize, time_in_turns

ONNX = "onnxruntime"  # the name of the runtime in records


def onnx_latencies(
    files: Mapping[str, Path], sample: Tensor, threads: int, seconds: float
) -> dict[str, Latency]:
    """Measure the latency of ONNX files in turns, as `latency.latencies` does for networks.

    The time of a call includes copying its outputs.

    Args:
        files: name -> ONNX file with one input, which takes the sample.
        sample: a batch of inputs (B, C, H, W) in host memory.
        threads: CPU threads within an operator.
        seconds: the time to spend on all files together, a tenth of it on warming up.

    Raises:
        UserError: ONNX Runtime isn't installed.
    """
    inputs = sample.contiguous().numpy()
    sessions = {name: start_session(path, threads) for name, path in files.items()}
    calls = {
        name: partial(session.run, None, {session.get_inputs()[0].name: inputs})
        for name, session in sessions.items()
    }
    times = time_in_turns(calls, seconds)
    return {name: summarize(times[name], sample, threads, runtime=ONNX) for name in files}


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
