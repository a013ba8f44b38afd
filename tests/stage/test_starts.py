"""Where teachers come from and students start, by whole runs in this process."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import TINY, Run
from torch import Tensor

from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.core.errors import ConfigError
from kdrun.core.screen import Screen


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "weights.safetensors")


def record(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "artefact.json").read_text())


@pytest.fixture
def first(run_words: Run) -> Path:
    return run_words("first", "student.hidden=[32]")


def test_a_student_starts_from_its_teacher(run_words: Run, first: Path) -> None:
    frozen = ("student.hidden=[32]", "student.init=teacher", "student.freeze=['*']")
    words = ("student.hidden=[32]", "student.init=teacher", "student.freeze=[hidden]")
    with pytest.raises(ConfigError, match="nothing that learns"):
        run_words("frozen", *frozen)
    hidden = next(iter(weights(first / "teacher"))).split(".")[0]
    again = run_words("again", *words[:2], f"student.freeze=[{hidden}]")
    for stage in ("alone", "student"):
        moved = {
            name: not torch.equal(value, weights(first / "teacher")[name])
            for name, value in weights(again / stage).items()
        }
        assert not any(value for name, value in moved.items() if name.startswith(hidden))
        assert all(value for name, value in moved.items() if not name.startswith(hidden))


def test_what_a_student_starts_from_is_said(
    run_words: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("teacher=resnet14", "student=resnet8", "student.init=teacher", "dataset.subset=64")
    nets = [word for word in TINY if not word.startswith(("teacher", "student"))]
    run_words("run", *words, "recipe.epochs=1", "recipe.batch_size=32", before=nets)
    # Norms count batches in tensors of their own; those are no weights.
    assert "alone: started from 29 of 29 weights of the teacher" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["pt", "safetensors", "wrapped"])
def test_a_teacher_comes_from_a_checkpoint(
    kind: str, run_words: Run, first: Path, tmp_path: Path
) -> None:
    state = weights(first / "teacher")
    path = tmp_path / ("teacher.safetensors" if kind == "safetensors" else "teacher.pt")
    if kind == "safetensors":
        save_file(state, path)
    else:
        named = {f"module.{name}": value for name, value in state.items()}
        torch.save({"state_dict": named} if kind == "wrapped" else state, path)
    again = run_words("again", f"teacher.checkpoint={path}")
    taken = weights(again / "teacher")
    assert all(torch.equal(taken[name], state[name]) for name in state)
    rows = json.loads((again / "summary.json").read_text())["rows"]
    assert rows[0]["epochs"] is None
    before = json.loads((first / "summary.json").read_text())["rows"]
    assert rows[0]["accuracy"] == before[0]["accuracy"]


def test_a_student_of_one_run_teaches_the_next(run_words: Run, first: Path) -> None:
    again = run_words("again", f"teacher.run={first / 'student'}")
    state = weights(first / "student")
    assert all(torch.equal(weights(again / "teacher")[name], state[name]) for name in state)


def test_a_student_that_is_good_enough_stops(run_words: Run) -> None:
    words = ("recipe.epochs=6", "recipe.lr=0.02", "recipe.warmup_epochs=0")
    folder = run_words("run", *words, "stop.when={within: 0.9, of: teacher}")
    assert record(folder / "student")["epochs"] == 1
    assert record(folder / "student")["stopped"].startswith("good enough")
    assert record(folder / "alone")["epochs"] == 6


def test_the_teacher_has_a_recipe_of_its_own(run_words: Run) -> None:
    folder = run_words("run", "teacher.recipe={epochs: 3}")
    assert record(folder / "teacher")["epochs"] == 3
    assert record(folder / "student")["epochs"] == 2


def test_the_best_epochs_weights_can_be_the_result(run_words: Run) -> None:
    last = run_words("last", "recipe.lr=0.05", "recipe.epochs=5")
    best = run_words("best", "recipe.lr=0.05", "recipe.epochs=5", "recipe.select=best")
    for stage in ("teacher", "alone", "student"):
        if stage == "student":
            continue  # its teacher is another one
        kept = load_file(last / stage / "best.safetensors")
        assert all(torch.equal(weights(best / stage)[name], kept[name]) for name in kept)


def validated(folder: Path, stage: str, epoch: int) -> dict[str, Any]:
    """What a stage's measurements say of an epoch on validation."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    place = {"stage": stage, "epoch": epoch, "split": "validation"}
    return next(line for line in lines if place.items() <= line.items())


def test_validation_figures_are_those_of_the_weights_kept(run_words: Run) -> None:
    words = ("recipe.lr=0.5", "recipe.epochs=5", "recipe.warmup_epochs=0")
    epochs = set()
    for select in ("best", "last"):
        folder = run_words(select, *words, f"recipe.select={select}")
        for stage, place in (("teacher", "teacher"), ("alone", "alone"), ("distill", "student")):
            kept = record(folder / place)
            epoch = kept["best_epoch"] if select == "best" else kept["epochs"]
            assert kept["validation"].items() <= validated(folder, stage, epoch).items()
            epochs.add(epoch)
    assert len(epochs) > 1  # else it is not seen which of them was recorded


def test_only_what_matters_changes_a_fingerprint(run_words: Run, tmp_path: Path) -> None:
    def prints(*words: str) -> dict[str, str]:
        (job,) = compose_runs([*TINY, *words], multirun=False)
        from kdrun.engine.interrupt import Interrupt
        from kdrun.engine.watch import make_watch

        plan = check(job.tree)
        runtime = plan.runtime(Screen(), Interrupt(), make_watch("none", tmp_path))
        return plan.fingerprints(runtime)

    base = prints()
    assert prints("tags=[a]", "name=other", "evaluate.batch_size=7") == base
    changed = prints("loss.temperature=2")
    assert changed["teacher"] == base["teacher"]
    assert changed["alone"] == base["alone"]
    assert changed["distill"] != base["distill"]
    for word in ("seed=1", "recipe.epochs=3", "dataset.validation=0.2", "dataset.augment.crop=1"):
        changed = prints(word)
        assert all(changed[stage] != base[stage] for stage in base), word
    changed = prints("teacher.hidden=[33]")
    assert changed["teacher"] != base["teacher"]
    assert changed["alone"] == base["alone"]
    assert changed["distill"] != base["distill"]
