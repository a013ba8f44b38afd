"""What a compressed model lost and won against the model that it was made from."""

from typing import Any

import pytest
import torch

from kdrun.measure.metrics import Meter
from kdrun.stage.baseline import compare_with_baseline
from kdrun.stage.timing import Latencies
from kdrun.task.classification import CLASSIFICATION


def meter(predicted: list[int]) -> Meter:
    filled = Meter(3)
    targets = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    logits = 5.0 * torch.nn.functional.one_hot(torch.tensor(predicted), 3)
    filled.update(logits, targets)
    return filled


def latency(milliseconds: float, runtime: str = "eager PyTorch") -> dict[str, Any]:
    return {"median_ms": milliseconds, "runtime": runtime}


COST = {"parameters": 100, "nonzero": 100, "macs": 1000, "bytes": 400, "epochs": None}
METERS = {"a": meter([0, 1, 2, 0, 1, 2, 0, 1, 2, 0]), "b": meter([0, 1, 2, 0, 1, 2, 0, 1, 0, 1])}
EAGER = Latencies({"a": latency(2.0), "b": latency(2.0)}, {})


def compared(latencies: Latencies = EAGER, **cost: Any) -> dict[str, Any]:
    costs = {"a": COST, "b": {**COST, **cost}}
    return compare_with_baseline("b", "a", CLASSIFICATION, METERS, costs, latencies)


def timed(milliseconds: float) -> Latencies:
    return Latencies({"a": latency(2.0), "b": latency(milliseconds)}, {})


def test_predictions_are_compared_on_the_same_samples():
    step = compared()
    assert step["baseline"] == "a"
    assert step["accuracy"] == pytest.approx(-0.2)
    assert step["low"] < -0.2 < step["high"]
    assert step["agreement"] == pytest.approx(0.8)
    # F1 of each class: 2 x 3 / (4 + 4), 2 x 3 / (4 + 3), 2 x 2 / (2 + 3), and 1 before
    assert step["f1"] == pytest.approx((6 / 8 + 6 / 7 + 4 / 5) / 3 - 1)


def test_costs_are_ratios_of_before_to_after():
    step = compared(timed(0.5), parameters=50, nonzero=25, macs=500, bytes=100)
    assert [step[key] for key in ("parameters", "nonzero", "macs", "bytes", "latency")] == [
        2, 4, 2, 4, 4,
    ]  # fmt: skip
    assert not step["in_vain"]


@pytest.mark.parametrize(
    ("milliseconds", "cost", "in_vain"),
    [
        (2.0, {}, True),
        (1.95, {"bytes": 500}, True),
        (2.0, {"bytes": 370}, False),
        (1.8, {}, False),
        (2.0, {"epochs": 3}, False),  # a step that trains is not there to make anything smaller
    ],
)
def test_a_step_that_wins_nothing_is_in_vain(milliseconds, cost, in_vain):
    assert compared(timed(milliseconds), **cost)["in_vain"] is in_vain


def test_latencies_of_two_runtimes_are_no_ratio():
    onnx = {"b": latency(0.2, "onnxruntime")}
    assert compared(Latencies({"a": latency(2.0)}, onnx))["latency"] is None
    assert compared(Latencies({"a": latency(2.0)}, {}))["latency"] is None


def test_a_latency_is_compared_with_that_of_the_same_runtime():
    onnx = {"a": latency(0.5, "onnxruntime"), "b": latency(0.2, "onnxruntime")}
    step = compared(Latencies({"a": latency(2.0)}, onnx))
    assert step["latency"] == pytest.approx(2.5)
    assert step["latency_before"] == onnx["a"]
