"""ONNX files are timed in turns, by the method and in the record of networks."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from kdrun.core.errors import UserError
from kdrun.export.image_spec import ImageSpec
from kdrun.export.onnx_file import encode
from kdrun.export.trace import trace
from kdrun.measure import onnx_latency
from kdrun.measure.latency import latencies
from kdrun.measure.onnx_latency import onnx_latencies, start_session

IMAGES = ImageSpec(1, (8, 8), (0.0,), (1.0,), normalize=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A wide and a narrow network; the wide one has 256 times the products."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for name, width in (("wide", 4096), ("narrow", 16)):
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, 256))
        found[name] = folder / f"{name}.onnx"
        found[name].write_bytes(encode(trace(network, IMAGES)))
    return found


def test_the_record_is_that_of_networks_with_the_runtime_named(files: dict[str, Path]) -> None:
    found = onnx_latencies(
        files, dict.fromkeys(files, torch.zeros(4, 1, 8, 8)), threads=1, seconds=0.2
    )
    assert list(found) == ["wide", "narrow"]
    wide, narrow = found.values()
    assert (wide["batch"], wide["threads"], wide["device"], wide["dtype"]) == (
        4,
        1,
        "cpu",
        "float32",
    )
    assert wide["runtime"] == "onnxruntime"
    assert wide["repeats"] == narrow["repeats"] > 3
    assert wide["p95_ms"] >= wide["median_ms"] > 2 * narrow["median_ms"] > 0
    eager = latencies({"a": nn.Identity()}, torch.zeros(1), threads=1, seconds=0)["a"]
    assert eager["runtime"] == "eager PyTorch"


def test_files_take_turns_and_get_the_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log: list[Any] = []

    class Session:
        def __init__(self, path: Path, threads: int) -> None:
            self.path = path
            log.append(threads)

        def get_inputs(self) -> list[Any]:
            return [SimpleNamespace(name=f"input of {self.path}")]

        def run(self, outputs: None, inputs: dict[str, Any]) -> None:
            ((name, value),) = inputs.items()
            assert value.shape == (2, 3)
            log.append(name)

    monkeypatch.setattr(onnx_latency, "start_session", Session)
    paths = {"a": Path("a"), "b": Path("b")}
    onnx_latencies(paths, dict.fromkeys(paths, torch.ones(2, 3)), threads=3, seconds=0)
    assert log[:2] == [3, 3]
    assert log[2:] == [*["input of a"] * 4, *["input of b"] * 4] * 2


def test_a_session_has_the_threads_that_were_asked_for(files: dict[str, Path]) -> None:
    options = start_session(files["narrow"], 3).get_session_options()
    assert options.intra_op_num_threads == 3


def test_a_missing_extra_is_named(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="ONNX Runtime needs an extra") as error:
        onnx_latencies(files, dict.fromkeys(files, torch.zeros(1, 1, 8, 8)), threads=1, seconds=0)
    assert error.value.lines[1] == "  pip install 'kdrun[export]'"
