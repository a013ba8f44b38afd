"""What a compressed model lost and won against the one that it was made of."""

import pytest
import torch

from kdrun.measure.metrics import Meter
from kdrun.stage.baseline import add_comparisons


def meter(predicted: list[int]) -> Meter:
    found = Meter(3)
    targets = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    logits = 5.0 * torch.nn.functional.one_hot(torch.tensor(predicted), 3)
    found.update(logits, targets)
    return found


def eager(milliseconds: float) -> dict:
    return {"median_ms": milliseconds, "runtime": "eager PyTorch"}


def row(name: str, **changed) -> dict:
    known = {"parameters": 100, "nonzero": 100, "macs": 1000, "bytes": 400, "epochs": None}
    return {"model": name, **known, "latency": eager(2.0), **changed}


METERS = {"a": meter([0, 1, 2, 0, 1, 2, 0, 1, 2, 0]), "b": meter([0, 1, 2, 0, 1, 2, 0, 1, 0, 1])}


def compared(**changed) -> dict:
    table = [row("a"), row("b", **changed)]
    add_comparisons(table, METERS, {"b": "a"})
    assert "versus" not in table[0]
    return table[1]["versus"]


def test_answers_are_compared_on_the_same_samples():
    found = compared()
    assert found["baseline"] == "a"
    assert found["accuracy"] == pytest.approx(-0.2)
    assert found["low"] < -0.2 < found["high"]
    assert found["agreement"] == pytest.approx(0.8)
    # F1 of each class: 2 x 3 / (4 + 4), 2 x 3 / (4 + 3), 2 x 2 / (2 + 3), and 1 before
    assert found["f1"] == pytest.approx((6 / 8 + 6 / 7 + 4 / 5) / 3 - 1)


def test_costs_are_ratios_of_before_to_after():
    found = compared(
        parameters=50,
        nonzero=25,
        macs=500,
        bytes=100,
        latency=eager(0.5),
    )
    assert [found[key] for key in ("parameters", "nonzero", "macs", "bytes", "latency")] == [
        2, 4, 2, 4, 4,
    ]  # fmt: skip
    assert not found["in_vain"]


@pytest.mark.parametrize(
    ("changed", "in_vain"),
    [
        ({}, True),
        ({"bytes": 500, "latency": eager(1.95)}, True),
        ({"bytes": 370}, False),
        ({"latency": eager(1.8)}, False),
        ({"epochs": 3}, False),  # a step that learns is not there to make anything smaller
    ],
)
def test_a_step_that_wins_nothing_is_in_vain(changed, in_vain):
    assert compared(**changed)["in_vain"] is in_vain


def test_times_of_two_runtimes_are_no_ratio():
    other = {"median_ms": 0.2, "runtime": "onnxruntime"}
    assert compared(latency=other)["latency"] is None
    assert compared(latency=None)["latency"] is None


def test_a_time_is_held_against_that_of_the_same_runtime():
    fast, slow = ({"median_ms": time, "runtime": "onnxruntime"} for time in (0.2, 0.5))
    table = [row("a", latency_in={"onnxruntime": slow}), row("b", latency=fast)]
    add_comparisons(table, METERS, {"b": "a"})
    assert table[1]["versus"]["latency"] == pytest.approx(2.5)
    assert table[1]["versus"]["latency_before"] == slow


def test_the_last_of_several_steps_is_held_against_the_first_model_too():
    table = [row("a"), row("b", macs=500), row("c", macs=250)]
    add_comparisons(table, {**METERS, "c": METERS["b"]}, {"b": "a", "c": "b"})
    assert "overall" not in table[1]
    assert (table[2]["versus"]["baseline"], table[2]["versus"]["macs"]) == ("b", 2)
    assert table[2]["overall"]["baseline"] == "a"
    assert table[2]["overall"]["macs"] == 4
    assert table[2]["overall"]["accuracy"] == pytest.approx(-0.2)
