"""How long one answer takes, side by side for several networks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from kdrun.measure.mode import evaluating

_BLOCK = 3  # calls in a row that are timed; one before them brings the network into the caches


@dataclass(frozen=True)
class Latency:
    """The time of one call of a network, from its start until the device is done.

    Attributes:
        median_ms: milliseconds.
        p95_ms: milliseconds that 95 % of the calls did not exceed.
        batch: samples in a call.
        threads: CPU threads within an operation.
        repeats: timed calls.
    """

    median_ms: float
    p95_ms: float
    batch: int
    threads: int
    device: str
    dtype: str
    repeats: int


def latencies(
    networks: Mapping[str, nn.Module], sample: Tensor, threads: int | None, seconds: float
) -> dict[str, Latency]:
    """Time networks in turns, so that a change of the machine's speed meets all of them.

    Args:
        networks: name -> network on the sample's device.
        sample: a batch of inputs (B, C, H, W).
        threads: CPU threads for the measurement; None takes those that are set.
        seconds: time to spend on all networks together, a tenth of it on warming up; each
            network is called at least 8 times, however long that takes.
    """
    with evaluating(*networks.values()), torch.inference_mode(), _threads(threads):
        _take_turns(networks, sample, seconds / 10)
        times = _take_turns(networks, sample, seconds * 9 / 10)
        return {name: _latency(times[name], sample) for name in networks}


def _take_turns(
    networks: Mapping[str, nn.Module], sample: Tensor, seconds: float
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in networks}
    end = perf_counter() + seconds
    while True:
        for name, network in networks.items():
            times[name] += [_time(network, sample) for _ in range(1 + _BLOCK)][1:]
        if perf_counter() >= end:
            return times


def _time(network: nn.Module, sample: Tensor) -> float:
    _synchronize(sample.device)
    start = perf_counter()
    network(sample)
    _synchronize(sample.device)
    return perf_counter() - start


def _synchronize(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _latency(times: list[float], sample: Tensor) -> Latency:
    median, p95 = np.percentile(np.array(times) * 1e3, [50, 95])
    return Latency(
        median_ms=float(median),
        p95_ms=float(p95),
        batch=len(sample),
        threads=torch.get_num_threads(),
        device=str(sample.device),
        dtype=str(sample.dtype).removeprefix("torch."),
        repeats=len(times),
    )


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        if threads is not None:
            torch.set_num_threads(threads)
        yield
    finally:
        torch.set_num_threads(before)
