"""Layer-wise training goes around any loss and says which stages are paired."""

import json
from pathlib import Path

import pytest
from plans import RESNETS, plan
from tiny import Kdrun, Refused

PROGRESSIVE = "scheme=progressive"


@pytest.mark.parametrize("loss", ["kd", "attention", "ce"])
def test_only_the_student_gets_the_first_phases(loss: str):
    teacher, alone, distill = plan(PROGRESSIVE, f"loss={loss}", base=RESNETS).stages
    assert [one.info.label for one in (teacher, alone, distill)] == [
        "teacher",
        "alone",
        "distilled",
    ]
    assert alone.loss == {"name": "ce"}
    assert distill.loss["name"] == "progressive"
    assert distill.loss["loss"]["name"] == loss
    assert distill.teachers == (teacher,)
    assert distill.info.reads == ("teacher",)


def test_each_stage_has_its_phase_and_learns_in_it(kdrun: Kdrun, tmp_path: Path):
    short = ("recipe.epochs=2", "scheme.epochs=3", "evaluate.latency.seconds=0.01", "controls=[]")
    done = kdrun(*RESNETS, PROGRESSIVE, *short, "student=vgg8")
    assert "stage by stage, pairs:" in done.stdout
    (log,) = tmp_path.glob("outputs/20*/*/student/metrics.jsonl")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    matches = [
        (line["phase"], line["match"])
        for line in lines
        if line["split"] == "train" and line["phase"] != "main"
    ]
    phases = list(dict.fromkeys(phase for phase, _ in matches))
    assert phases == [f"stage{number + 1}" for number in range(len(phases))]
    assert len(phases) >= 3
    for phase in phases:
        first, *_, last = (value for name, value in matches if name == phase)
        assert last < first


def test_bad_settings_are_refused_in_a_sentence(refused: Refused):
    assert "scheme.epochs" in refused(PROGRESSIVE, "scheme.epochs=0", before=RESNETS)
    said = refused(PROGRESSIVE, "scheme.pairs=[[layer9,layer1]]", before=RESNETS)
    assert "the student has no module at 'layer9'" in said
    inside = "scheme.pairs=[[layer1,layer1],[layer1.0,layer2]]"
    said = refused(PROGRESSIVE, inside, before=RESNETS)
    assert "no weights of the student lie between two of layer1.0, layer1" in said
