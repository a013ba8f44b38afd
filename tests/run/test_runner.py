"""A run keeps what it began with, and its status stays true whatever comes."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY

from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.core.cores import count_cores
from kdrun.core.errors import Interrupted, KdrunError
from kdrun.core.folder import RunFolder
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.screen import Screen
from kdrun.core.store import METRICS, read_record
from kdrun.run import runner
from kdrun.run.environment import changes_since, differences


def tree(root: Path, *words: str) -> dict[str, Any]:
    (job,) = compose_runs([*TINY, f"output_root={root}", "recipe.epochs=1", *words], multirun=False)
    assert not job.faults
    return job.tree


def test_a_resumed_job_takes_the_threads_that_it_began_with(tmp_path: Path) -> None:
    plan = check(tree(tmp_path, "threads=auto"), jobs=count_cores())
    assert plan.hardware.threads == 1
    again = check(plan.tree, jobs=1)
    assert again.hardware.threads == 1
    assert again.tree == plan.tree


def test_a_signal_in_the_evaluation_stops_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = runner.evaluate

    def evaluate(*given: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return original(*given)

    monkeypatch.setattr(runner, "evaluate", evaluate)
    plan, path = check(tree(tmp_path)), tmp_path / "run"
    with pytest.raises(Interrupted, match="evaluate") as found:
        runner.run(plan, path, Screen(), "kdrun")
    assert found.value.status == 130
    assert RunFolder(path).status == "interrupted"


def test_a_run_that_goes_on_with_other_images_is_not_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, path = check(tree(tmp_path)), tmp_path / "run"

    def stop(*_: Any) -> Any:
        raise KdrunError("stopped")

    def go_on(plan: runner.Plan) -> list[str]:
        with monkeypatch.context() as patch, pytest.raises(KdrunError, match="stopped"):
            patch.setattr(runner, "evaluate", stop)
            runner.run(plan, path, Screen(), "kdrun")
        return RunFolder(path).manifest()["inexact"]

    changed = {name: replace(data, digest="other") for name, data in plan.datasets.items()}
    reason = (
        "resumed with images, or statistics of them, that are not those that the run began with"
    )
    assert go_on(plan) == []
    assert go_on(plan) == []
    assert go_on(replace(plan, datasets=changed)) == [reason]
    assert go_on(replace(plan, datasets=changed)) == [reason]


def test_a_signal_after_the_last_figure_ends_the_command_but_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = runner.evaluate

    def evaluate(*given: Any) -> Any:
        summary = original(*given)
        os.kill(os.getpid(), signal.SIGTERM)
        return summary

    monkeypatch.setattr(runner, "evaluate", evaluate)
    plan, path = check(tree(tmp_path)), tmp_path / "run"
    with pytest.raises(Interrupted, match="is finished") as found:
        runner.run(plan, path, Screen(), "kdrun")
    assert found.value.status == 143
    assert RunFolder(path).status == "finished"


def test_a_signal_between_two_stages_keeps_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = runner.obtain

    def obtain(stage: Any, *given: Any) -> Any:
        artefact = original(stage, *given)
        if stage.info.name == "teacher":
            os.kill(os.getpid(), signal.SIGTERM)
        return artefact

    plan, path = check(tree(tmp_path)), tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(Interrupted) as found:
        patch.setattr(runner, "obtain", obtain)
        runner.run(plan, path, Screen(), "kdrun")
    assert found.value.status == 143
    assert RunFolder(path).status == "interrupted"
    said = capsys.readouterr().out
    assert "teacher: mlp, " in said
    runner.run(check(tree(tmp_path)), path, Screen(), "kdrun")
    assert RunFolder(path).status == "finished"
    assert "teacher: " not in capsys.readouterr().out.partition("test split of")[0]


def test_a_clock_that_is_set_back_makes_no_negative_duration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1e9]

    def set_back() -> float:
        now[0] -= 3600
        return now[0]

    monkeypatch.setattr("time.time", set_back)
    path = tmp_path / "run"
    runner.run(check(tree(tmp_path)), path, Screen(), "kdrun")
    manifest = RunFolder(path).manifest()
    assert manifest["seconds"] >= 0
    assert all(stage["seconds"] >= 0 for stage in manifest["stages"].values())
    for name in ("teacher", "alone", "student"):
        record = read_record(path / name)
        assert record is not None
        assert record["seconds"] is not None
        assert record["seconds"] >= 0
    epochs = [(line["stage"], line["epoch"]) for line in MetricsLog(path / METRICS).read()]
    assert epochs == [(stage, 1) for stage in ("teacher", "alone", "distill") for _ in range(2)]


def test_classes_that_no_test_sample_has_are_told_and_recorded(tmp_path: Path) -> None:
    plan = check(tree(tmp_path, "dataset.test=0.002", "dataset.validation=0.002"))
    notes = [note for note in plan.notes if "has no sample of" in note]
    assert [note[: note.index(": ")] for note in notes] == [
        "the validation split has no sample of 6 of 10 classes",
        "the test split has no sample of 6 of 10 classes",
    ]
    summary = runner.run(plan, tmp_path / "run", Screen(), "kdrun")
    present = {str(label) for label in plan.data.test.targets.tolist()}
    missing = [name for name in plan.data.info.classes if name not in present]
    assert len(missing) == 6
    assert summary.get("missing_classes") == {"digits": missing}
    full = runner.run(check(tree(tmp_path)), tmp_path / "full", Screen(), "kdrun")
    assert not full.get("missing_classes")


def test_a_record_of_an_older_kdrun_is_compared_by_the_keys_that_it_has() -> None:
    now = {"python": "3.11", "instructions": "AVX2", "threads": 2}
    assert changes_since({"python": "3.11"}, now) == []
    before = {"instructions": "AVX512", "threads": 1}
    assert changes_since(before, now) == [
        "resumed with instructions: AVX2, was AVX512",
        "resumed with threads: 2, was 1",
    ]


def test_differences_name_the_keys_that_were_changed_added_and_lost() -> None:
    before = {"recipe": {"lr": 0.05, "epochs": 3}, "seed": 0, "old": 1}
    now = {"recipe": {"lr": 0.1, "epochs": 3}, "seed": 0, "new": [2]}
    assert differences(before, now) == [
        "recipe.lr: 0.1, was 0.05",
        "new: [2], was None",
        "old: None, was 1",
    ]
    assert differences(now, now) == []
