"""The last stage: files that were checked, how to run them, and nothing under a false name."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import TINY
from torch.export import ExportedProgram

from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.core.errors import ExportRejected, Interrupted
from kdrun.core.folder import RunFolder
from kdrun.core.screen import Screen
from kdrun.export import onnx_file
from kdrun.export.table import FORMATS
from kdrun.run.runner import run as run_stages
from kdrun.stage.artefact import read_artefact

BOTH = "export=[onnx,pt2]"


def go(path: Path, *words: str) -> Path:
    """Run a small config in a folder, or go on with it there."""
    root = f"output_root={path.parent / 'outputs'}"
    (job,) = compose_runs([*TINY, "recipe.epochs=1", root, *words], multirun=False)
    run_stages(check(job.tree), path, Screen(), "kdrun")
    return path


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "export/export.json").read_text())


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return go(tmp_path_factory.mktemp("finished") / "run", BOTH)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A finished run that may be changed, beside the outputs of the other."""
    return shutil.copytree(finished, finished.parent / tmp_path.name)


def test_a_run_leaves_checked_files_and_their_record(finished: Path) -> None:
    names = {path.name for path in (finished / "export").iterdir()}
    assert names == {"student.onnx", "student.pt2", "export.json", "how_to_run.md"}
    found, summary = record(finished), RunFolder(finished).summary()
    assert summary is not None
    (row,) = (row for row in summary["rows"] if row["model"] == "distilled")
    assert list(found["files"]) == ["student.onnx", "student.pt2"]
    for name, file in found["files"].items():
        assert file["bytes"] == (finished / "export" / name).stat().st_size
        assert file["network"] == row["fingerprint"]
        assert file["check"]["samples"] == summary["samples"]
        assert file["check"]["accuracy"] == pytest.approx(row["accuracy"])
        assert file["check"]["accuracy_difference"] == 0
        assert file["check"]["relative_difference"] < 1e-5
        assert file["check"]["equal_decisions"] == 1
        assert file["tolerance"] == {"logits": 1e-4, "accuracy": 0.01}
        assert (file["normalize"], file["quantized"]) == (False, False)
    assert found["files"]["student.onnx"]["opset"] >= 18
    assert found["files"]["student.onnx"]["runtime"].startswith("onnxruntime ")
    assert found["files"]["student.pt2"]["runtime"] == f"torch {torch.__version__.split('+')[0]}"
    assert (found["channels"], found["image_size"]) == (1, [8, 8])
    stages = RunFolder(finished).manifest()["stages"]
    assert list(stages)[-2:] == ["evaluate", "export"]
    assert stages["export"]["seconds"] > 0


def test_to_export_changes_no_weights(finished: Path, tmp_path: Path) -> None:
    plain = go(tmp_path / "run")
    assert not (plain / "export").exists()
    for stage in ("teacher", "alone", "student"):
        weights = f"{stage}/weights.safetensors"
        assert (plain / weights).read_bytes() == (finished / weights).read_bytes()


def blocks(run: Path) -> list[str]:
    """The code in how_to_run.md."""
    text = (run / "export/how_to_run.md").read_text()
    return re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)


def executed(code: str, folder: Path) -> list[list[float]]:
    """What code answers in a process of its own, which doesn't have kdrun."""
    more = "import sys\nassert 'kdrun' not in sys.modules\nprint(logits.tolist())\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + more],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    decided, logits = done.stdout.splitlines()
    found: list[list[float]] = json.loads(logits)
    assert decided == str([str(int(best)) for best in np.argmax(found, 1)])
    return found


PIXELS = {
    "onnx": torch.from_numpy(np.random.default_rng(0).random((2, 1, 8, 8), np.float32)),
    "pt2": torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)),
}


def expected(run: Path, name: str) -> list[list[float]]:
    """What the student in the run folder answers to the images of that code."""
    artefact = read_artefact(run / "student")
    mean, std = (
        torch.tensor(artefact.record["data"][key]).view(-1, 1, 1) for key in ("mean", "std")
    )
    with torch.inference_mode():
        found: list[list[float]] = artefact.network()((PIXELS[name] - mean) / std).tolist()
    return found


def test_how_to_run_runs_as_it_stands(finished: Path) -> None:
    for name, code in zip(("onnx", "pt2"), blocks(finished), strict=True):
        assert len(code.splitlines()) <= 13
        found = executed(code, finished / "export")
        np.testing.assert_allclose(found, expected(finished, name), rtol=0, atol=1e-5)


def test_how_to_run_says_what_goes_in_and_what_was_checked(finished: Path) -> None:
    text = (finished / "export/how_to_run.md").read_text()
    accuracy = record(finished)["files"]["student.onnx"]["check"]["accuracy"]
    for words in (
        "float32 of shape (batch, 1, 8, 8)",
        "Classes in the order of the logits: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9.",
        "pixels scaled to 0..1, then (pixels - mean) / std with\nmean [0.30",
        f"on 359 test images: accuracy {accuracy:.2%}",
    ):
        assert words in text


def test_normalization_inside_is_told_and_run(tmp_path: Path) -> None:
    run = go(tmp_path / "run", BOTH, "export_options.normalize=true")
    found = record(run)["files"]
    assert all(
        file["normalize"] and file["check"]["relative_difference"] < 1e-4 for file in found.values()
    )
    onnx, _ = blocks(run)
    assert "mean" not in onnx
    np.testing.assert_allclose(executed(onnx, run / "export"), expected(run, "onnx"), atol=1e-5)


def test_what_is_there_whole_is_not_written_again(run: Path) -> None:
    files = [run / "export/student.onnx", run / "export/student.pt2"]
    before = [(path.stat().st_ino, path.read_bytes()) for path in files]
    go(run, BOTH)
    assert [(path.stat().st_ino, path.read_bytes()) for path in files] == before
    files[0].write_bytes(before[0][1][:-1] + b"x")
    go(run, BOTH)
    assert files[0].stat().st_size == len(before[0][1])
    assert files[0].read_bytes()[-1:] != b"x"
    assert files[1].stat().st_ino == before[1][0]
    files[1].unlink()
    go(run, BOTH)
    assert files[1].is_file()
    assert list(record(run)["files"]) == ["student.onnx", "student.pt2"]


def wrong(program: ExportedProgram) -> bytes:
    """An ONNX file with one weight that isn't the network's."""
    import onnx

    model = onnx.load_from_string(onnx_file.encode(program))
    weights = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    weights.flat[0] += 5
    model.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(weights, model.graph.initializer[0].name)
    )
    return model.SerializeToString()


WRONG = replace(onnx_file.ONNX, encode=wrong)


def test_a_file_that_answers_otherwise_is_rejected_and_its_name_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, "onnx", f"{__name__}:WRONG")
    path = tmp_path / "run"
    with pytest.raises(ExportRejected) as error:
        go(path, BOTH)
    first, second = error.value.lines
    assert first.startswith("student.onnx differs from its network: its logits differ by up to ")
    assert first.endswith(" of the largest, and 1.0e-04 is allowed.")
    assert "export/student.rejected.onnx'; more is allowed by export_options.tol" in second
    assert error.value.status == 1
    assert not hasattr(error.value, "__notes__")  # it would fail again: nothing to resume
    names = {file.name for file in (path / "export").iterdir()}
    assert names == {"student.rejected.onnx", "student.pt2", "export.json", "how_to_run.md"}
    assert list(record(path)["files"]) == ["student.pt2"]
    assert RunFolder(path).status == "failed"
    assert RunFolder(path).summary() is not None
    monkeypatch.undo()
    go(path, BOTH)
    assert not (path / "export/student.rejected.onnx").exists()
    assert set(record(path)["files"]) == {"student.onnx", "student.pt2"}
    assert RunFolder(path).status == "finished"


def unreadable(program: ExportedProgram) -> bytes:
    return b"no model"


UNREADABLE = replace(onnx_file.ONNX, encode=unreadable)


def test_a_file_that_its_runtime_cant_load_is_rejected(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run / "export/student.onnx").unlink()
    monkeypatch.setitem(FORMATS, "onnx", f"{__name__}:UNREADABLE")
    monkeypatch.setattr("kdrun.check.networks.try_formats", lambda *given: None)
    with pytest.raises(ExportRejected, match=r"^student\.onnx can't be loaded in its runtime: "):
        go(run, BOTH)
    assert (run / "export/student.rejected.onnx").read_bytes() == b"no model"


def test_more_is_allowed_by_the_tolerance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "onnx", f"{__name__}:WRONG")
    path = go(tmp_path / "run", "export=[onnx]", "export_options.tolerance.logits=100")
    file = record(path)["files"]["student.onnx"]
    assert 1e-4 < file["check"]["relative_difference"] < 100
    assert file["tolerance"]["logits"] == 100


def test_a_signal_while_exporting_interrupts_the_run(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    def struck(program: ExportedProgram) -> bytes:
        os.kill(os.getpid(), signal.SIGINT)
        return onnx_file.encode(program)

    (run / "export/student.onnx").unlink()
    monkeypatch.setattr("kdrun.stage.export.encode", lambda program, name: struck(program))
    with pytest.raises(Interrupted, match="interrupted in stage 'export'"):
        go(run, BOTH)
    assert RunFolder(run).status == "interrupted"
    assert not (run / "export/student.onnx").exists()
    monkeypatch.undo()
    go(run, BOTH)
    assert (run / "export/student.onnx").exists()
    assert not list((run / "export").glob("*.unchecked.*"))
