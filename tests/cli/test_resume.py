"""A run that was killed and resumed equals one that was not, bit for bit."""

import json
import os
import pty
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from edits import edit_json
from forked import ROOT
from tiny import TINY, Kdrun

# Dropout, averaging, mixup and mid-epoch checkpoints: everything that has a state or is random.
HARD = (
    *TINY,
    "dataset.subset=200",
    "recipe.epochs=3",
    "recipe.batch_size=16",
    "teacher.dropout=0.2",
    "student.dropout=0.1",
    "recipe.ema=0.9",
    "recipe.mixup=0.2",
    "checkpoint_seconds=0.02",
    "output_root=out",
)


def result(folder: Path) -> dict:
    """All of a run that must not depend on interruptions."""
    weights = {
        f"{stage}/{name}": (folder / stage / name).read_bytes()
        for stage in ("teacher", "alone", "student")
        for name in ("weights.safetensors", "best.safetensors")
    }
    stored = np.load(folder / "predictions.npz")
    return {
        **weights,
        "metrics": (folder / "metrics.jsonl").read_text(),
        **{name: stored[name].tolist() for name in stored.files},
    }


def only_run(root: Path) -> Path:
    (found,) = root.glob("out/20*/*")
    return found


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict:
    root = tmp_path_factory.mktemp("whole")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "kdrun", *HARD]
    subprocess.run(words, cwd=root, env=environment, check=True, capture_output=True)
    return result(only_run(root))


# Steps of the three stages in order: 180 samples without validation make 11 steps an epoch.
@pytest.mark.parametrize("stage", [0, 1, 2], ids=["teacher", "alone", "distill"])
def test_killed_at_random_steps_of_a_stage(
    stage: int, uninterrupted: dict, kdrun: Kdrun, tmp_path: Path
) -> None:
    random_steps = random.Random(stage)
    steps = 33
    at = stage * steps + random_steps.randrange(1, steps)
    kdrun(*HARD, status=-signal.SIGKILL, KDRUN_FAULT=f"step:{at}")
    folder = only_run(tmp_path)
    assert json.loads((folder / "run.json").read_text())["status"] == "running"
    again = random_steps.randrange(1, 10)
    kdrun("resume", str(folder), status=None, KDRUN_FAULT=f"step:{again}")
    kdrun("resume", str(folder))
    assert json.loads((folder / "run.json").read_text())["status"] == "finished"
    assert result(folder) == uninterrupted


@pytest.mark.parametrize("how", ["term", "int", "hup"])
def test_a_signal_saves_and_says_how_to_go_on(
    how: str, uninterrupted: dict, fresh_kdrun: Kdrun, tmp_path: Path
) -> None:
    number = signal.Signals[f"SIG{how.upper()}"]
    done = fresh_kdrun(*HARD, status=128 + number, KDRUN_FAULT=f"step:40:{how}")
    folder = only_run(tmp_path)
    assert f"kdrun resume {folder.relative_to(tmp_path)}" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
    fresh_kdrun("resume", str(folder))
    assert result(folder) == uninterrupted


# In a step of the teacher, and while a file is written: a checkpoint among so many.
@pytest.mark.parametrize("fault", ["step:20:term", "half-temp:6:term", "before-rename:7:int"])
def test_a_signal_in_the_teacher_or_while_saving_loses_nothing(
    fault: str, uninterrupted: dict, kdrun: Kdrun, tmp_path: Path
) -> None:
    kdrun(*HARD, status=128 + (15 if fault.endswith("term") else 2), KDRUN_FAULT=fault)
    folder = only_run(tmp_path)
    assert json.loads((folder / "run.json").read_text())["status"] == "interrupted"
    assert not list(folder.rglob("*.tmp"))
    assert not (folder / "student").exists()
    kdrun("resume", str(folder))
    assert result(folder) == uninterrupted


def test_a_terminal_that_is_closed_loses_no_step(tmp_path: Path) -> None:
    endless = ("recipe.epochs=100000", "recipe.max_steps=null", "hydra.run.dir=run")
    words = [sys.executable, "-m", "kdrun", *TINY, *endless]
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.execve(sys.executable, words, {**os.environ, "PYTHONPATH": str(ROOT)})
    shown = b""
    while b"step 1/" not in shown:
        shown += os.read(terminal, 4096)
    os.close(terminal)
    _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    assert manifest["status"] == "interrupted"
    assert manifest["error"] == "interrupted in stage 'teacher'."


@pytest.mark.parametrize("point", ["half-temp", "before-rename", "after-rename", "metrics-half"])
def test_killed_while_writing(
    point: str, uninterrupted: dict, kdrun: Kdrun, tmp_path: Path
) -> None:
    kdrun(*HARD, status=-signal.SIGKILL, KDRUN_FAULT=f"{point}:6")
    folder = only_run(tmp_path)
    kdrun("resume", str(folder))
    assert result(folder) == uninterrupted


def test_resumed_from_another_folder(uninterrupted: dict, kdrun: Kdrun, tmp_path: Path) -> None:
    kdrun(*HARD, status=-signal.SIGKILL, KDRUN_FAULT="step:20")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    said = kdrun("resume", str(only_run(tmp_path)), cwd=elsewhere)
    assert result(only_run(tmp_path)) == uninterrupted
    assert "epoch 1/3" not in said.stdout.partition("alone:")[0]  # the teacher went on
    assert list(elsewhere.iterdir()) == []


BASELINE = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}


def test_resumed_with_other_cpu_instructions_is_marked(
    kdrun: Kdrun, fresh_kdrun: Kdrun, tmp_path: Path
) -> None:
    kdrun(*HARD, status=-signal.SIGKILL, KDRUN_FAULT="step:95")
    folder = only_run(tmp_path)
    said = fresh_kdrun("resume", str(folder), **BASELINE).stdout
    assert "not exact: resumed with instructions: DEFAULT (PyTorch)" in said
    instructions, stages = json.loads((folder / "run.json").read_text())["inexact"]
    assert "ONEDNN_MAX_CPU_ISA=SSE41 (oneDNN)" in instructions
    assert stages.startswith("teacher, alone computed with ")
    student = json.loads((folder / "student" / "artefact.json").read_text())
    before, after = student["instructions"]
    assert not before.startswith("DEFAULT")
    assert after.startswith("DEFAULT")


def test_a_teacher_that_other_cpu_instructions_computed_is_shared_and_told(
    kdrun: Kdrun, fresh_kdrun: Kdrun, tmp_path: Path
) -> None:
    kdrun(*TINY, "hydra.run.dir=first")
    said = fresh_kdrun(*TINY, "hydra.run.dir=second", **BASELINE).stdout
    assert "not exact: teacher, alone computed with " in said
    (reason,) = json.loads((tmp_path / "second" / "summary.json").read_text())["inexact"]
    assert ", here is DEFAULT (PyTorch)" in reason
    third = kdrun(*TINY, "hydra.run.dir=third").stdout
    assert "not exact" not in third


def test_resumed_with_another_torch_is_marked(kdrun: Kdrun, tmp_path: Path) -> None:
    kdrun(*HARD, status=-signal.SIGKILL, KDRUN_FAULT="step:20")
    folder = only_run(tmp_path)
    edit_json(
        folder / "run.json",
        lambda manifest: manifest["environment"]["packages"].update(torch="2.0.0"),
    )
    said = kdrun("resume", str(folder))
    told = "resumed with packages.torch: "
    assert f"not exact: {told}" in said.stdout + said.stderr
    (line,) = json.loads((folder / "run.json").read_text())["inexact"]
    assert line.endswith(", was 2.0.0")
    assert f"Not exact: {told}" in kdrun("show", str(folder)).stdout.replace("\n", " ")
