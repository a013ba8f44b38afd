"""How long one answer takes in ONNX Runtime, side by side for several files."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.measure.latency import Latency, summarize, take_turns


def onnx_latencies(
    files: Mapping[str, Path], sample: Tensor, threads: int, seconds: float
) -> dict[str, Latency]:
    """Time ONNX files in turns, as `latency.latencies` does networks; a call copies its answer.

    Args:
        files: name -> a file with one input, which takes the sample.
        sample: a batch of inputs (B, C, H, W) in host memory.
        threads: CPU threads within an operator.
        seconds: time to spend on all files together, a tenth of it on warming up.

    Raises:
        UserError: ONNX Runtime isn't installed.
    """
    inputs = sample.contiguous().numpy()
    sessions = {name: start_session(path, threads) for name, path in files.items()}
    calls = {
        name: partial(session.run, None, {session.get_inputs()[0].name: inputs})
        for name, session in sessions.items()
    }
    times = take_turns(calls, seconds)
    return {name: summarize(times[name], sample, threads, runtime="onnxruntime") for name in files}


def start_session(path: Path, threads: int) -> Any:
    """An onnxruntime.InferenceSession of a file on the CPU, which says nothing unless it fails.

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
