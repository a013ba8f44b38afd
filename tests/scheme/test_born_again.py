import json
from pathlib import Path

import pytest
import torch
from plans import plan, prints, reads, refusal, rows

from kdrun.core.screen import Screen
from kdrun.run.runner import run
from kdrun.stage.artefact import read_artefact

THREE = ("scheme=born_again", "scheme.generations=3")


def test_each_generation_learns_from_the_one_before_it():
    planned = plan(*THREE)
    assert rows(planned) == [
        "teacher",
        "alone",
        "generation1",
        "generation2",
        "distilled",
        "ensemble",
    ]
    assert reads(planned) == {
        "teacher": (),
        "alone": (),
        "generation1": ("teacher",),
        "generation2": ("generation1",),
        "distill": ("generation2",),
        "ensemble": ("generation1", "generation2", "distill"),
    }
    stages = {stage.info.name: stage for stage in planned.stages}
    assert stages["distill"].teachers == (stages["generation2"],)
    assert stages["generation1"].network == stages["distill"].network == planned.config.student


def test_one_generation_is_the_plain_plan():
    assert rows(plan("scheme=born_again", "scheme.generations=1")) == [
        "teacher",
        "alone",
        "distilled",
    ]


def test_more_generations_go_on_from_fewer():
    three, four = prints(plan(*THREE)), prints(plan("scheme=born_again", "scheme.generations=4"))
    assert all(three[name] == four[name] for name in ("generation1", "generation2"))


def test_the_stop_rule_is_for_the_student_alone():
    planned = plan(*THREE, "stop.when={reaches: 0.5}")
    stops = {stage.info.name: getattr(stage, "stop", None) for stage in planned.stages}
    assert {name for name, stop in stops.items() if stop} == {"distill"}


def test_generations_start_apart_and_their_ensemble_is_the_mean_of_their_probabilities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    planned = plan(*THREE, "recipe.lr=0.000001", "recipe.epochs=1")
    summary = run(planned, tmp_path / "run", Screen(), "test")
    assert [row["model"] for row in summary["rows"]] == rows(planned)
    folders = [tmp_path / "run" / name for name in ("generation1", "generation2", "student")]
    networks = [read_artefact(folder).network() for folder in folders]
    # At this rate weights stay near where they began.
    first, *others = [
        torch.cat([value.flatten() for value in net.parameters()]) for net in networks
    ]
    alone = read_artefact(tmp_path / "run" / "alone").network()
    control = torch.cat([value.flatten() for value in alone.parameters()])
    assert (first - control).abs().max() < 1e-3
    assert all((first - other).abs().max() > 0.1 for other in others)
    assert (others[0] - others[1]).abs().max() > 0.1

    images = next(iter(planned.data.test.batches(50))).inputs
    with torch.no_grad():
        answered = read_artefact(tmp_path / "run" / "ensemble").network()(images).double()
        mean = torch.stack([net(images).double().softmax(1) for net in networks]).mean(0)
    torch.testing.assert_close(answered.softmax(1), mean, rtol=1e-5, atol=0)
    record = json.loads((tmp_path / "run" / "ensemble" / "artefact.json").read_text())
    assert record["source"] == "gathered from generation1, generation2, distill"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("scheme.generations=0",), "scheme.generations: 0 should be greater than or equal to 1"),
        (("scheme.generations=1.5",), "scheme.generations: 1.5 is not a whole number"),
        (
            ("student.init=teacher", "student.hidden=[32]"),
            "student.init: 'teacher' would give all generations the same start;"
            " use student.init=scratch",
        ),
    ],
)
def test_what_makes_no_generations_is_refused_in_a_sentence(words: tuple[str, ...], sentence: str):
    assert refusal("scheme=born_again", *words) == sentence
