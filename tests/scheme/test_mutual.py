from pathlib import Path

import pytest
import torch
from plans import RESNETS, plan, reads, refusal, rows

from kdrun.core.screen import Screen
from kdrun.loss.table import build_loss
from kdrun.run.runner import run
from kdrun.stage.artefact import read_artefact
from kdrun.stage.start import build_network
from kdrun.stage.tap_binding import bind_loss

TWO = ("scheme=mutual", "scheme.peers=[{name: mlp, hidden: [16]}, {name: mlp, hidden: [12]}]")


def test_peers_are_trained_together_without_a_teacher():
    planned = plan(*TWO)
    assert rows(planned) == ["alone", "", "distilled", "peer1", "peer2"]
    cohort = {"distill": ("cohort",), "peer1": ("cohort",), "peer2": ("cohort",)}
    assert reads(planned) == {"alone": (), "cohort": (), **cohort}
    stage = planned.stages[1]
    assert stage.teachers == ()
    assert stage.loss == {
        "name": "around_mutual",
        "loss": planned.config.loss,
        "members": 3,
        "temperature": 1.0,
    }
    assert [one["hidden"] for one in stage.network.node["members"]] == [[8], [16], [12]]


def test_the_student_starts_as_the_control_does():
    planned = plan(*TWO)
    alone, cohort = planned.stages[:2]
    student = build_network(alone.network.node, planned.data, 0, alone.role).state_dict()
    committee = build_network(cohort.network.node, planned.data, 0, cohort.seeded_as).state_dict()
    assert all(
        torch.equal(committee[f"members.0.{name}"], value) for name, value in student.items()
    )


def test_the_cohort_learns_at_the_students_rate_and_freezes_what_the_student_does():
    words = ("recipe.lr_by_model={ml*: 0.3}", "student.freeze=[layers]")
    cohort = plan(*TWO, *words).stages[1]
    assert (cohort.recipe.lr, cohort.recipe.lr_by_model) == (0.3, None)
    assert cohort.frozen == ("members.0.layers",)


@pytest.mark.parametrize("select", ["last", "best"])
def test_each_member_is_a_model_of_its_own(
    select: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    planned = plan(*TWO, f"recipe.select={select}")
    summary = run(planned, tmp_path / "run", Screen(), "test")
    table = {row["model"]: row for row in summary["rows"]}
    assert list(table) == ["alone", "distilled", "peer1", "peer2"]
    assert all(row["agreement"] is None for row in table.values())
    assert {row["epochs"] for row in table.values()} == {2}
    assert all(("best" in row) == (select == "last") for row in table.values())
    cohort = read_artefact(tmp_path / "run" / "cohort").network()
    images = next(iter(planned.data.test.batches(50))).inputs
    for number, name in enumerate(("student", "peer1", "peer2")):
        artefact = read_artefact(tmp_path / "run" / name)
        with torch.no_grad():
            assert torch.equal(artefact.network()(images), cohort.members[number](images))
        assert (
            artefact.record["seconds"]
            == read_artefact(tmp_path / "run" / "cohort").record["seconds"]
        )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("scheme.peers=[]",), "scheme.peers: [] should have at least 1 values"),
        (("scheme.peers=[mlp, mpl]",), "scheme.peers.1: no model is called 'mpl'."),
        (
            ("scheme.peers=[{name: mlp, hiden: [3]}]",),
            "scheme.peers.0.hiden: unknown key of 'mlp'",
        ),
        (("scheme.temperature=0",), "scheme.temperature: 0 should be greater than 0"),
        (("loss=ce",), "loss: the loss 'ce' learns from no teacher, and peers teach each other."),
        (
            ("student.init=teacher", "student.hidden=[32]"),
            "student.init: scheme 'mutual' has no teacher whose weights",
        ),
        (
            ("stop.when={within: 0.1, of: teacher}",),
            "stop.when.of: scheme 'mutual' has no teacher whose validation score",
        ),
        (("loss=attention", "loss.pairs=[[a, b]]"), "loss: the student has no module at 'a'"),
    ],
)
def test_what_makes_no_cohort_is_refused_in_a_sentence(words: tuple[str, ...], sentence: str):
    assert refusal(*TWO, *words).startswith(sentence)


def test_each_peer_is_read_at_its_own_places():
    words = ("scheme=mutual", "loss=attention", "student.taps.stages=[layer3]")
    tapped = "scheme.peers=[{name: resnet8, taps: {stages: [layer2]}}]"
    cohort = plan(*words, tapped, base=RESNETS).stages[1]
    assert [one.taps.stages for _, one in cohort.members] == [["layer3"], ["layer2"]]
    data = plan(base=RESNETS).data
    network = build_network(cohort.network.node, data, 0, "student")
    taps = bind_loss(build_loss(cohort.loss), cohort, network, [], data).student
    assert taps.paths == {
        "0/logits": "members.0",
        "1/logits": "members.1",
        "0/student/tap[0]": "members.0.layer3",
        "0/teacher/tap[0]": "members.0.layer3",
        "1/student/tap[0]": "members.1.layer2",
        "1/teacher/tap[0]": "members.1.layer2",
    }
    assert taps.shapes["1/student/tap[0]"] == (2, 32, 4, 4)


@pytest.mark.parametrize(
    ("peers", "sentence"),
    [
        ("{name: resnet8, taps: {stages: [layer9]}}", "scheme.peers.0.taps.stages: the"),
        ("mlp", "loss: the scheme.peers.0 has no module at 'layer3'"),
    ],
)
def test_a_peer_without_such_places_is_refused_in_a_sentence(peers: str, sentence: str):
    words = ("scheme=mutual", "loss=attention", f"scheme.peers=[{peers}]")
    words += ("loss.pairs=[[layer3,layer3]]",)
    assert refusal(*words, base=RESNETS).startswith(sentence)
