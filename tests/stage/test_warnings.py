"""What a run is told of losses and teachers that can't do their work."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import TINY

from kdrun.core.errors import ConfigError
from kdrun.core.screen import Screen
from kdrun.preflight import check
from kdrun.runner import run
from kdrun.words import read_jobs

Notes = Callable[..., list[str]]


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notes:
    """Run the command's words in this process; what the student's record tells."""
    monkeypatch.chdir(tmp_path)

    def run_here(*words: str) -> list[str]:
        (job,) = read_jobs([*TINY, *words], multirun=False)
        folder = tmp_path / f"run{len(list(tmp_path.glob('run*')))}"
        run(check(job.tree), folder, Screen(), "test")
        record = json.loads((folder / "student" / "artefact.json").read_text())
        return record["notes"]

    return run_here


def unbalanced(notes: list[str]) -> list[str]:
    return [note for note in notes if "times its label term" in note]


def test_a_term_that_drowns_the_labels_is_told_once(notes):
    (told,) = unbalanced(notes("loss=mse", "loss.alpha=0.9999", "controls=[]"))
    ratio = float(told.split(" times")[0].split()[-1])
    assert ratio > 100
    assert told.endswith("where 0.01 to 100 is usual; look at the weights of the loss")


def test_a_term_without_a_say_is_told(notes):
    (told,) = unbalanced(notes("loss=reverse_kl", "loss.weight=1e-6", "controls=[]"))
    assert float(told.split(" times")[0].split()[-1]) < 0.01


def test_a_term_that_still_rises_is_judged_by_its_full_weight(notes):
    words = ("loss=reverse_kl", "controls=[]", "recipe.epochs=3")
    assert unbalanced(notes(*words, "loss.weight={value: 1.0, warmup: 1000}")) == []
    (told,) = unbalanced(notes(*words, "loss.weight={value: 1e6, warmup: 1000}"))
    assert float(told.split(" times")[0].split()[-1]) > 1e4


@pytest.mark.parametrize("loss", ["kd", "ce", "simkd"])
def test_usual_losses_are_told_nothing_of(notes, loss):
    assert unbalanced(notes(f"loss={loss}", "controls=[]")) == []


def test_a_teacher_that_is_worse_than_the_student_alone_is_told_before(notes):
    words = ("recipe.epochs=8", "student.hidden=[32]", "teacher.recipe={lr: 1e-9}")
    (told,) = [note for note in notes(*words) if note.startswith("teacher is worse")]
    assert told.endswith("train it longer, or take another")
    assert not [note for note in notes(*words, "controls=[]") if "worse" in note]


def test_relations_of_one_sample_are_refused(notes):
    with pytest.raises(ConfigError) as error:
        notes("loss=pkt", "recipe.batch_size=4", "recipe.accumulate=4")
    (fault,) = error.value.faults
    assert str(fault).startswith("loss: it compares the samples of a batch, and a step computes 1")
