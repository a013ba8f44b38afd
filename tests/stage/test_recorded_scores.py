"""A stored network is measured once before it is used, and refused if its scores have changed."""

import re
from pathlib import Path

import pytest
from plans import run_to
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.folder import RunFolder
from kdrun.model.image.mlp import MLP
from kdrun.stage import obtain

WORDS = ("recipe.epochs=8", "student.hidden=[16]")
OTHER = r"has a validation top-1 of [\d.]+ %, and its record says [\d.]+ %: the code that computes"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def edit_the_mlp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code of another version of kdrun: the classes are in another order."""

    def forward(self: MLP, images: Tensor) -> Tensor:
        return self.head(self.layers(self.flatten(images))).roll(1, 1)

    monkeypatch.setattr(MLP, "forward", forward)


def test_a_network_of_the_store_with_other_scores_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_to(Path("first"), *WORDS)
    edit_the_mlp(monkeypatch)
    capsys.readouterr()
    second = RunFolder(run_to(Path("second"), *WORDS)).manifest()["stages"]
    said = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert [stage for stage in ("teacher", "alone") if not second[stage]["from_store"]] == [
        "teacher",
        "alone",
    ]
    assert len(re.findall(f"'outputs/.store/[0-9a-f]+' {OTHER}", said)) == 2
    assert said.count("damaged-1', and made anew") == 2
    third = RunFolder(run_to(Path("third"), *WORDS)).manifest()["stages"]
    assert third["teacher"]["from_store"]


def test_a_run_with_a_network_of_other_scores_is_not_gone_on_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = run_to(Path("first"), *WORDS)
    edit_the_mlp(monkeypatch)
    with pytest.raises(UserError, match=f"the network in 'first/teacher' {OTHER}"):
        run_to(first, *WORDS)


def test_a_teacher_of_another_run_with_other_scores_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_to(Path("first"), *WORDS)
    run_to(Path("second"), *WORDS, "teacher.run=first", "controls=[]")
    edit_the_mlp(monkeypatch)
    words = (*WORDS, "teacher.run=first", "controls=[]", "seed=1")
    with pytest.raises(UserError, match=f"the teacher in 'first/teacher' {OTHER}"):
        run_to(Path("third"), *words, f"output_root={Path.cwd() / 'other'}")


def test_a_stored_network_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run_to(Path("first"))
    measured: list[str] = []
    score_again = obtain.score_again

    def count(artefact, context):
        measured.append(artefact.record["stage"])
        return score_again(artefact, context)

    monkeypatch.setattr(obtain, "score_again", count)
    run_to(Path("second"), "loss.temperature=2")
    assert measured == ["teacher", "alone"]
    measured.clear()
    run_to(Path("second"), "loss.temperature=2")
    assert measured == ["teacher", "alone", "distill"]
