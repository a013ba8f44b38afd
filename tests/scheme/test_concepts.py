"""Concept distillation: the teacher on all classes, the others and all figures on concepts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import TINY, Kdrun, Refused

from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.core.screen import Screen
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.watch import make_watch
from kdrun.measure.metrics import Meter
from kdrun.model.merged_classes import MergedClasses
from kdrun.run.plan import Plan
from kdrun.stage.artefact import read_artefact

EVEN_ODD = ("scheme=concepts", "scheme.map=digits_even_odd")


def plan(*words: str) -> Plan:
    (job,) = compose_runs([*TINY, *words], multirun=False)
    assert not job.faults
    return check(job.tree)


def prints(made: Plan) -> dict[str, str]:
    return made.fingerprints(made.runtime(Screen(), Interrupt(), make_watch("none", Path())))


def test_the_teacher_has_all_classes_and_the_others_concepts() -> None:
    made = plan(*EVEN_ODD)
    found = {stage.info.name: made.data_of(stage).info for stage in made.stages}
    assert found["teacher"].num_classes == 10
    assert found["alone"].classes == found["distill"].classes == ("even", "odd")
    stages = {stage.info.name: stage for stage in made.stages}
    assert stages["distill"].teachers == (stages["teacher"],)
    assert stages["distill"].info.reads == ("teacher",)
    assert [stage.info.label for stage in made.stages] == ["teacher", "alone", "distilled"]
    assert made.tree["scheme"]["map"]["odd"] == ["1", "3", "5", "7", "9"]


def test_the_teacher_is_that_of_a_plain_run_and_the_students_are_of_the_map() -> None:
    plain, one = prints(plan()), prints(plan(*EVEN_ODD))
    other = prints(plan("scheme=concepts", "scheme.map={low: [0, 1], high: [8, 9]}"))
    assert plain["teacher"] == one["teacher"] == other["teacher"]
    for name in ("alone", "distill"):
        assert len({plain[name], one[name], other[name]}) == 3


def test_every_row_answers_in_concepts(kdrun: Kdrun, tmp_path: Path) -> None:
    shown = kdrun(*TINY, *EVEN_ODD, "recipe.epochs=4").stdout
    (folder,) = tmp_path.glob("outputs/20*/*")
    summary = json.loads((folder / "summary.json").read_text())
    assert list(summary["concepts"]) == ["even", "odd"]
    assert summary["concepts"]["even"] == ["0", "2", "4", "6", "8"]

    artefact = read_artefact(folder / "teacher")
    network = artefact.network()
    assert len(artefact.record["data"]["classes"]) == 10
    data = plan(*EVEN_ODD).data
    (batch,) = data.test.batches(data.test.size)
    with torch.no_grad():
        p = network(batch.inputs).double().softmax(1)
    p = torch.stack([p[:, 0::2].sum(1), p[:, 1::2].sum(1)], 1)
    meter = Meter(2)
    meter.update(p.log(), batch.targets)
    teacher = summary["rows"][0]
    assert teacher["f1"] == pytest.approx(meter.compute()["f1"], abs=1e-9)
    assert teacher["nll"] == pytest.approx(meter.compute()["nll"], rel=1e-5)
    assert teacher["n"] == data.test.size
    stored = np.load(folder / "predictions.npz")
    assert {*stored["teacher/predicted"].tolist()} == {0, 1}
    assert "F1" in shown.split("model")[0]
    assert shown.index("F1") < shown.index("top-1")
    assert "over 2 concepts that join 10 classes." in " ".join(shown.split())


def test_a_merged_network_answers_logits_of_the_sums() -> None:
    class Fixed(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images

    logits = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = MergedClasses(Fixed(), ((0, 3), (1,)))(logits.float()).double().softmax(1)
    p = logits.softmax(1)
    sums = torch.stack([p[:, 0] + p[:, 3], p[:, 1]], 1)
    torch.testing.assert_close(found, sums / sums.sum(1, keepdim=True), rtol=1e-5, atol=0)


def test_a_map_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("small: [0, 1, 2]\nlarge: ['8', 9]\n")
    made = plan("scheme=concepts", f"scheme.map={path}")
    assert made.data.info.classes == ("small", "large")
    assert made.data.test.targets.unique().tolist() == [0, 1]


BAD = {
    (): "scheme.map: must be given; for digits: scheme.map=digits_even_odd, or your own:"
    " a file, or {CONCEPT: [CLASS, ...], ...}",
    ("scheme.map=digits_evn",): "scheme.map: 'digits_evn' is neither a concept map nor a file;"
    " nearest: digits_even_odd",
    ("scheme.map={a: [0], b: [eleven, 11]}",): "the config has 2 faults\n"
    "  scheme.map.b: no class is called 'eleven'.\n    available: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n"
    "  scheme.map.b: no class has the index 11; there are 0 to 9",
    ("scheme.map={a: [0, 1], b: [1]}",): "scheme.map: has the class '1' twice",
    ("scheme.map={a: [0, 1]}",): (
        "scheme.map: only the class 'a' is left, and classification takes two or more"
    ),
    ("scheme.map={a: [0, 1], b: [2], c: []}",): "scheme.map.c: merges no class; name some or leave"
    " it out",
    ("scheme.map={a: 0, b: [2]}",): "scheme.map: should be a map's name, a file,"
    " or a mapping like {CONCEPT: [CLASS, CLASS]}",
    (
        "scheme.map=digits_even_odd",
        "stop.when={within: 0.1, of: teacher}",
    ): "stop.when: of 'teacher' compares concepts with its own classes; use reaches, or of 'alone'",
}


@pytest.mark.parametrize("words", BAD, ids=" ".join)
def test_a_bad_map_is_refused_before_the_start(words: tuple[str, ...], refused: Refused) -> None:
    assert refused("scheme=concepts", *words) == BAD[words]


def test_a_file_that_is_no_map_is_refused(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("[a, b]\n")
    assert refused("scheme=concepts", f"scheme.map={path}") == (
        f"scheme.map: {str(path)!r} is not a concept map: it needs lines like CONCEPT: [CLASS]"
    )
    path.write_text("a: [b\n")
    assert f"{str(path)!r}, line 2: " in refused("scheme=concepts", f"scheme.map={path}")
