"""A signal, or a clock that goes back, while a run trains: what is saved, and what goes on."""

import itertools
import json
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from plans import plan, run_to
from tiny import result

from kdrun.core.errors import Interrupted
from kdrun.core.screen import Screen
from kdrun.engine import checkpoint
from kdrun.engine.interrupt import Interrupt
from kdrun.run.runner import run

STEPS = 8  # of a stage of a small run: 2 epochs of 4


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch):
    """Let a fault strike, once."""

    def strike(words: str) -> None:
        monkeypatch.setattr("kdrun.core.atomic._passes", Counter())
        monkeypatch.setenv("KDRUN_FAULT", words)

    monkeypatch.setenv("KDRUN_FAULT", "")
    return strike


def words(folder: Path) -> tuple[str, ...]:
    return (f"output_root={folder}", "recipe.batch_size=64", "checkpoint_seconds=1e9")


def manifest(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_a_signal_saves_the_step_that_it_came_in(number: int, fault, tmp_path: Path) -> None:
    how = {signal.SIGTERM: "term", signal.SIGINT: "int"}[number]
    given = plan(*words(tmp_path), "controls=[]")
    fault(f"step:{steps(given) + 2}:{how}")
    with pytest.raises(Interrupted) as caught:
        run(given, tmp_path / "run", Screen(), "test")
    assert caught.value.status == 128 + number
    states = [*tmp_path.rglob("student/checkpoint.pt")]
    assert len(states) == 1
    assert manifest(tmp_path / "run")["status"] == "interrupted"


def test_a_signal_while_saving_lets_the_save_end(fault, tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"step": 1})
    fault("half-temp:1:term")
    with Interrupt() as interrupt:
        checkpoint.save(tmp_path, {"step": 2})
    assert interrupt.signal == signal.SIGTERM
    assert checkpoint.load(tmp_path, print) == {"step": 2}


def test_a_run_goes_on_in_the_stage_it_was_stopped_in(fault, tmp_path: Path) -> None:
    given = words(tmp_path)
    whole = run_to(tmp_path / "whole", *given, f"output_root={tmp_path / 'other'}")
    total = steps(plan(*given))
    for stage in range(3):  # in the middle of teacher, control and student
        fault(f"step:{stage and total - 1}:term" if stage else "step:3:term")
        with pytest.raises(Interrupted):
            run_to(tmp_path / "cut", *given)
        begun = (tmp_path / "cut" / "student" / "checkpoint.pt").exists()
        assert begun == (stage == 2)
    fault("")
    seconds = manifest(tmp_path / "cut")["stages"]["teacher"]["seconds"]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("teacher/weights*")}
    run_to(tmp_path / "cut", *given)
    assert result(tmp_path / "cut") == result(whole)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert manifest(tmp_path / "cut")["stages"]["teacher"]["seconds"] == seconds


def test_a_clock_that_goes_back_makes_no_negative_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = plan(*words(tmp_path), "controls=[]")
    hours = itertools.count(time.time(), -3600)
    monkeypatch.setattr(time, "time", lambda: next(hours))
    run(given, tmp_path / "run", Screen(), "test")
    record = manifest(tmp_path / "run")
    assert record["seconds"] >= 0
    assert all(stage["seconds"] >= 0 for stage in record["stages"].values())


def steps(given) -> int:
    """The steps of a stage of a plan."""
    recipe = given.config.recipe
    return recipe.epochs * given.data.train.steps(recipe.batch_size)
