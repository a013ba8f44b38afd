"""Every loss in a real run: it learns, and a run that was cut off goes on exactly."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kdrun import cli
from kdrun.core import atomic
from kdrun.loss.table import LOSSES

WORDS = (
    "teacher=resnet14",
    "student=resnet8",
    "controls=[]",
    "dataset.subset=96",
    "recipe.epochs=4",
    "recipe.batch_size=16",
    "recipe.lr=0.02",
    "evaluate.latency.seconds=0.01",
    "checkpoint_seconds=0.01",
    "threads=1",
)
# What a loss needs beside its defaults, or first phases short enough for a test.
OWN: dict[str, tuple[str, ...]] = {
    "ab": ("loss.first_epochs=1",),
    "combined": ("loss.terms={attention: {weight: 100}, kd: {alpha: 0.5}}",),
    "fsp": ("loss.first_epochs=1",),
    "ft": ("loss.first_epochs=1",),
    "review_kd": ("loss.weight=1",),  # its warm-up is longer than the run
}

Main = Callable[..., tuple[int, Path]]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One output root for all, so that the teacher is trained once."""
    return tmp_path_factory.mktemp("losses")


@pytest.fixture
def command(root: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """The command in this process: its status, and the folder of the run called `name`."""
    monkeypatch.chdir(root)

    def run(name: str, *words: str, fault: str = "") -> tuple[int, Path]:
        monkeypatch.setenv("KDRUN_FAULT", fault)
        monkeypatch.setattr(atomic, "_passages", type(atomic._passages)())
        monkeypatch.setattr("sys.argv", ["kdrun", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        (folder,) = root.glob(f"outputs/20*/*-{name}")
        return end.value.code, folder

    return run


def result(folder: Path) -> dict:
    stored = np.load(folder / "predictions.npz")
    return {
        "weights": (folder / "student/weights.safetensors").read_bytes(),
        "metrics": (folder / "student/metrics.jsonl").read_text(),
        **{name: stored[name].tolist() for name in stored.files},
    }


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_run_learns_and_goes_on_exactly_after_it_was_cut_off(
    name: str, command: Main, root: Path
) -> None:
    words = (f"loss={name}", *OWN.get(name, ()), *WORDS)
    status, whole = command(f"{name}-whole", *words, f"name={name}-whole")
    assert status == 0
    trained = [
        record
        for record in map(json.loads, (whole / "student/metrics.jsonl").read_text().splitlines())
        if record["split"] == "train" and record["phase"] == "main"
    ]
    assert len(trained) == 4
    assert trained[-1]["loss"] < trained[0]["loss"]

    # The teacher is in the store by now: all steps are the student's.
    status, cut = command(f"{name}-cut", *words, f"name={name}-cut", fault="step:10:raise")
    assert status == 1
    assert not (cut / "summary.json").exists()
    status, resumed = command(f"{name}-cut", "resume", str(cut))
    assert status == 0
    assert result(resumed) == result(whole)
