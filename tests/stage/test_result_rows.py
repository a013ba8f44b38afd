"""The rows of the results table follow from what was measured, and have the types of a record."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from kdrun.core.records.check import check_record
from kdrun.core.records.summary import Row
from kdrun.measure.metrics import Meter
from kdrun.stage.result_rows import Measured, make_rows
from kdrun.stage.timing import Latencies
from kdrun.task.classification import CLASSIFICATION

TARGETS = torch.tensor([0, 1, 2, 0, 1, 2])
STEPS = {"1 prune": "distilled", "2 round": "1 prune"}
NAMES = ("teacher", "alone", "distilled", *STEPS)


def artefact(name: str) -> Any:
    validation = {"n": 6, **dict.fromkeys(CLASSIFICATION.scores, 0.5)}
    record = {
        "model": {"name": "mlp", "hidden": [8]},
        "validation": validation,
        "seconds": 1.0,
        "fingerprint": f"mark of {name}",
        "best_epoch": 2,
        "best_validation_accuracy": 0.6,
    }
    return SimpleNamespace(record=record)


def meter(wrong: int) -> Meter:
    predicted = TARGETS.clone()
    predicted[:wrong] = (predicted[:wrong] + 1) % 3
    filled = Meter(3)
    filled.update(5.0 * torch.nn.functional.one_hot(predicted, 3), TARGETS)
    return filled


def latency(runtime: str) -> dict[str, Any]:
    place = {"batch": 1, "threads": 1, "device": "cpu", "dtype": "float32", "repeats": 8}
    return {"median_ms": 1.0, "p95_ms": 2.0, **place, "runtime": runtime}


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    meters = {name: meter(wrong) for wrong, name in enumerate(NAMES)}
    cost = {"parameters": 100, "nonzero": 100, "bytes": 400, "epochs": 3}
    onnx = {name: latency("onnxruntime") for name in STEPS}
    measured = Measured(
        artefacts={name: artefact(name) for name in NAMES},
        task=CLASSIFICATION,
        meters=meters,
        best_scores={"alone": meters["teacher"].compute()},
        domain_meters={"photos": meters},
        costs={name: {**cost, "macs": 1000 // (at + 1)} for at, name in enumerate(NAMES)},
        latencies=Latencies({name: latency("eager PyTorch") for name in NAMES[:4]}, onnx),
        baselines=STEPS,
        repetitions={"1 prune": []},
    )
    return {row["model"]: row for row in make_rows(measured)}


def test_every_row_has_the_types_of_its_record(rows):
    assert list(rows) == list(NAMES)
    for row in json.loads(json.dumps(list(rows.values()))):
        check_record(row, Row, row["model"])
        assert all(name in row for name in CLASSIFICATION.scores)


def test_agreement_is_with_the_teacher(rows):
    assert rows["teacher"]["agreement"] == 1
    assert rows["alone"]["agreement"] == pytest.approx(5 / 6)


def test_the_gain_is_of_the_distilled_student_over_the_control(rows):
    assert [name for name, row in rows.items() if "gain" in row] == ["distilled"]
    assert rows["distilled"]["gain"]["over"] == "alone"
    assert rows["distilled"]["gain"]["accuracy"] == pytest.approx(-1 / 6)
    assert rows["distilled"]["domains"]["photos"]["gain"] == rows["distilled"]["gain"]


def test_a_best_epoch_has_test_scores_and_its_validation_score(rows):
    assert rows["alone"]["best"] == {"epoch": 2, "accuracy": 1, "f1": 1, "validation": 0.6}
    assert "best" not in rows["teacher"]


def test_the_last_of_several_steps_is_compared_with_the_first_model_too(rows):
    assert "versus" not in rows["distilled"]
    assert "overall" not in rows["1 prune"]
    last = rows["2 round"]
    assert (last["versus"]["baseline"], last["overall"]["baseline"]) == ("1 prune", "distilled")
    assert last["versus"]["macs"] == pytest.approx(250 / 200)
    assert last["overall"]["macs"] == pytest.approx(333 / 200)


def test_a_model_that_was_timed_twice_has_both_latencies(rows):
    assert rows["1 prune"]["latency"]["runtime"] == "eager PyTorch"
    assert list(rows["1 prune"]["latency_in"]) == ["onnxruntime"]
    assert rows["2 round"]["latency"]["runtime"] == "onnxruntime"
    assert "latency_in" not in rows["2 round"]
