"""The student is the teacher's network, of which only the named places learn."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from plans import RESNETS, plan
from tiny import Kdrun, Refused
from torch import Tensor

from kdrun.stage.artefact import read_artefact

SHARED = "scheme=shared_body"
LEARNS = ("layer3.", "fc.")
Weights = Callable[..., dict[str, dict[str, Tensor]]]


def test_student_and_control_are_the_teachers_network_and_start_from_it():
    teacher, alone, distill = plan(SHARED, base=RESNETS).stages
    assert [one.info.label for one in (teacher, alone, distill)] == [
        "teacher",
        "alone",
        "distilled",
    ]
    assert distill.network.node == alone.network.node == teacher.network.node
    assert distill.teachers == (teacher,)
    for stage, inner in ((alone, "ce"), (distill, "kd")):
        assert stage.init == "teacher"
        assert stage.info.reads == ("teacher",)
        assert stage.loss["learn"] == ["stages[-1]", "logits"]
        assert stage.loss["loss"]["name"] == inner
        assert stage.fresh == ()
    assert plan(SHARED, "scheme.fresh=true", base=RESNETS).stages[-1].fresh == (
        "stages[-1]",
        "logits",
    )


@pytest.fixture
def weights(kdrun: Kdrun, tmp_path: Path) -> Weights:
    """The weights that a run of one epoch leaves, by stage folder."""

    def run(*words: str) -> dict[str, dict[str, Tensor]]:
        done: subprocess.CompletedProcess = kdrun(
            *RESNETS, SHARED, "recipe.epochs=1", "evaluate.latency.seconds=0.01", *words
        )
        assert "weights learn" in done.stdout
        (folder,) = tmp_path.glob("outputs/20*/*")
        return {
            name: read_artefact(folder / name).weights() for name in ("teacher", "alone", "student")
        }

    return run


@pytest.mark.parametrize("loss", ["kd", "attention"])
def test_only_the_named_places_change_and_norms_elsewhere_keep_their_statistics(
    weights: Weights, loss: str
):
    found = weights(f"loss={loss}")
    for name, value in found["teacher"].items():
        for role in ("alone", "student"):
            same = torch.equal(found[role][name], value)
            assert same != name.startswith(LEARNS), (role, name)


def test_fresh_places_do_not_start_from_the_teachers_weights(weights: Weights):
    found = weights("scheme.learn=[fc]", "scheme.fresh=true", "recipe.lr=1e-12")
    apart = (found["student"]["fc.weight"] - found["teacher"]["fc.weight"]).abs().max()
    assert apart > 1e-3
    torch.testing.assert_close(found["student"]["fc.weight"], found["alone"]["fc.weight"])
    for name, value in found["teacher"].items():
        assert torch.equal(found["student"][name], value) != name.startswith("fc."), name


def test_places_that_are_not_there_are_refused_in_a_sentence(refused: Refused):
    said = refused(SHARED, "scheme.learn=[layer9]", before=RESNETS)
    assert "the student has no module at 'layer9'" in said
    assert "nearest: layer" in said
    said = refused(SHARED, "scheme.learn=[relu]", before=RESNETS)
    assert "names no module with weights: nothing would learn" in said
    assert "scheme.learn" in refused(SHARED, "scheme.learn=[]", before=RESNETS)
    assert "student has no module like" in refused(SHARED, "scheme.learn=[lay*r9]", before=RESNETS)
