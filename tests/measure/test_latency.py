"""Latencies are taken in turns, within the time that is given, and leave no trace."""

import time

import pytest
import torch
from torch import Tensor, nn

from kdrun.measure.latency import latencies


class Sleeper(nn.Module):
    """Takes a known time and writes its name to a log."""

    def __init__(self, name: str, seconds: float, log: list[str]) -> None:
        super().__init__()
        self.name, self.seconds, self.log = name, seconds, log

    def forward(self, inputs: Tensor) -> Tensor:
        assert not self.training
        assert torch.is_inference_mode_enabled()
        self.log.append(self.name)
        time.sleep(self.seconds)
        return inputs


def test_times_are_those_of_the_calls():
    networks = {"slow": Sleeper("slow", 0.010, []), "fast": Sleeper("fast", 0.002, [])}
    found = latencies(networks, torch.zeros(3, 1), threads=1, seconds=0.2)
    assert list(found) == ["slow", "fast"]
    assert found["fast"]["median_ms"] < 10
    for name, network in networks.items():
        assert found[name]["median_ms"] >= 1e3 * network.seconds
        assert found[name]["p95_ms"] >= found[name]["median_ms"]


def test_networks_take_turns():
    log: list[str] = []
    networks = {name: Sleeper(name, 0.0, log) for name in "ab"}
    found = latencies(networks, torch.zeros(1, 1), threads=1, seconds=0.01)
    assert log[:16] == [*"aaaabbbb"] * 2
    assert found["a"]["repeats"] == found["b"]["repeats"]


def test_even_a_budget_of_nothing_gives_a_figure():
    log: list[str] = []
    found = latencies({"a": Sleeper("a", 0.0, log)}, torch.zeros(1, 1), threads=None, seconds=0)
    assert found["a"]["repeats"] == 3
    assert len(log) == 8


def test_the_budget_is_kept():
    networks = {name: nn.Linear(8, 8) for name in "abc"}
    start = time.perf_counter()
    found = latencies(networks, torch.zeros(4, 8), threads=1, seconds=0.3)
    assert 0.3 <= time.perf_counter() - start < 2
    assert found["a"]["repeats"] > 100


def test_the_conditions_are_stated():
    found = latencies({"a": nn.Linear(8, 8)}, torch.zeros(4, 8), threads=1, seconds=0)["a"]
    assert (found["batch"], found["threads"], found["device"], found["dtype"]) == (
        4,
        1,
        "cpu",
        "float32",
    )


@pytest.mark.parametrize("fails", [False, True])
def test_threads_and_modes_are_put_back(fails):
    before = torch.get_num_threads()
    network = nn.Sequential(nn.Linear(8, 8), nn.Dropout())
    network[1].eval()
    sample = torch.zeros(1, 7 if fails else 8)
    try:
        latencies({"a": network}, sample, threads=before + 1, seconds=0)
    except RuntimeError:
        assert fails
    assert torch.get_num_threads() == before
    assert [module.training for module in network.modules()] == [True, True, False]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_gpu_is_waited_for():
    size = 8192
    network = nn.Linear(size, size, bias=False).cuda()
    sample = torch.zeros(size, size, device="cuda")
    found = latencies({"a": network}, sample, threads=None, seconds=0.5)["a"]
    assert found["median_ms"] > 1  # 1.1 TFLOP in a launch that takes microseconds
    assert found["device"] == "cuda:0"
