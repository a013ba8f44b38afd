"""Measuring the latency of several networks in PyTorch."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from kdrun.core.inputs.types import Inputs, first_tensor
from kdrun.core.mode import evaluating
from kdrun.core.records.summary import EAGER, Latency

# Timed calls in a row; an untimed call before them brings the network's weights into the caches.
_BLOCK = 3


def latencies(
    networks: Mapping[str, nn.Module], sample: Inputs, threads: int | None, seconds: float
) -> dict[str, Latency]:
    """Measure the latency of networks.

    The networks take turns, so that a change of the machine's speed affects all of them.

    Args:
        networks: name -> network on the sample's device.
        sample: a batch of inputs.
        threads: the number of CPU threads; None leaves PyTorch's setting as it is.
        seconds: the time to spend on all networks together, a tenth of it on warming up. Each
            network is called at least 8 times, however long that takes.
    """
    calls = {name: partial(_call, network, sample) for name, network in networks.items()}
    with evaluating(*networks.values()), torch.inference_mode(), _set_threads(threads):
        times = time_in_turns(calls, seconds)
        used_threads = torch.get_num_threads()
        return {name: summarize(times[name], sample, used_threads) for name in networks}


def time_in_turns(
    calls: Mapping[str, Callable[[], object]], seconds: float
) -> dict[str, list[float]]:
    """Return the seconds of every call by name.

    Args:
        calls: name -> function to time.
        seconds: the time to spend on all of them, a tenth of it on warming up.
    """
    _call_in_turns(calls, seconds / 10)
    return _call_in_turns(calls, seconds * 9 / 10)


def _call_in_turns(
    calls: Mapping[str, Callable[[], object]], seconds: float
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in calls}
    end = perf_counter() + seconds
    while True:
        for name, call in calls.items():
            times[name] += [_time(call) for _ in range(1 + _BLOCK)][1:]
        if perf_counter() >= end:
            return times


def _time(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def _call(network: nn.Module, sample: Inputs) -> None:
    """Call a network and wait until the device has finished."""
    network(sample)
    _synchronize(first_tensor(sample).device)


def _synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def summarize(times: list[float], sample: Inputs, threads: int, runtime: str = EAGER) -> Latency:
    """Return the statistics and the conditions of timed calls.

    Args:
        times: the seconds of each call.
        sample: the batch that each call took.
        threads: CPU threads within an operation.
        runtime: the software that ran the network.
    """
    tensor = first_tensor(sample)
    median, p95 = np.percentile(np.array(times) * 1e3, [50, 95])
    latency = Latency(
        median_ms=float(median),
        p95_ms=float(p95),
        batch=len(tensor),
        threads=threads,
        device=str(tensor.device),
        dtype=str(tensor.dtype).removeprefix("torch."),
        repeats=len(times),
        runtime=runtime,
    )
    return latency if isinstance(sample, Tensor) else {**latency, "tokens": tensor.shape[1]}


@contextmanager
def _set_threads(threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        torch.set_num_threads(before)
