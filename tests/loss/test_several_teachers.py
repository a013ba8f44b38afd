from dataclasses import replace
from typing import Any

import pytest
import torch
from given import AT, INFO, B, C, batch, node, output
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, Output, TapShapes
from kdrun.loss.base import Loss
from kdrun.loss.table import build_loss

SIZES = {"tap": (4, 6, 6)}
DOUBLE = torch.float64


def around(loss: dict[str, Any], combine: str, weights: list[float]) -> Loss:
    """The loss of these teachers, bound to them."""
    found = build_loss(
        {"name": "around_teachers", "loss": loss, "combine": combine, "weights": weights}
    )
    networks = nn.ModuleDict({"members": nn.ModuleList(nn.Linear(C, C) for _ in weights)})
    request = found.taps().teacher
    paths = {
        name: f"members.{name[0]}" + (f".{path}" if path else "") for name, path in request.items()
    }
    shapes = {name: (2, *(SIZES["tap"] if "/tap/" in name else (C,))) for name in request}
    student = dict.fromkeys(found.taps().student, (2, *SIZES["tap"]))
    torch.manual_seed(0)
    found.bind(
        TapShapes(student, nn.Linear(C, C), {name: name for name in student}),
        TapShapes(shapes, networks, paths),
        INFO,
    )
    return found


def teachers(count: int) -> list[Output]:
    return [output({"tap[0]": SIZES["tap"]}, seed, DOUBLE) for seed in range(10, 10 + count)]


def together(each: list[Output]) -> Output:
    taps: dict[str, Tensor] = {}
    for number, one in enumerate(each):
        taps[f"{number}/logits"] = one.logits
        taps |= {f"{number}/tap/{name}": value for name, value in one.taps.items()}
    return Output(torch.full((B, C), torch.nan), taps)


STUDENT = output({"tap[0]": SIZES["tap"]}, 1, DOUBLE)
WEIGHTS = [1.0, 3.0, 4.0]


def kl(target: Tensor, answer: Tensor) -> float:
    """KL of rows of probabilities, row by row."""
    sums = [
        sum(float(p) * (float(p.log()) - float(q.log())) for p, q in zip(row, student, strict=True))
        for row, student in zip(target, answer, strict=True)
    ]
    return sum(sums) / len(sums)


def test_probabilities_are_averaged_at_the_losses_own_temperature():
    each, shares = teachers(3), [0.125, 0.375, 0.5]
    loss = around(node("kd", temperature=3.0, alpha=1.0), "probabilities", WEIGHTS)
    mean = sum(w * (one.logits / 3).softmax(1) for w, one in zip(shares, each, strict=True))
    wanted = 9 * kl(mean, (STUDENT.logits / 3).softmax(1))
    found = loss(STUDENT, together(each), batch(), AT)["kd"]
    assert found.item() == pytest.approx(wanted, rel=1e-5)
    assert found.dtype == DOUBLE


def test_logits_are_averaged_as_they_are():
    each, shares = teachers(3), [0.125, 0.375, 0.5]
    loss = around(node("kd", temperature=3.0, alpha=1.0), "logits", WEIGHTS)
    mean = sum(w * one.logits for w, one in zip(shares, each, strict=True))
    wanted = 9 * kl((mean / 3).softmax(1), (STUDENT.logits / 3).softmax(1))
    found = loss(STUDENT, together(each), batch(), AT)["kd"].item()
    assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("mixed", [False, True])
def test_the_best_teacher_of_a_sample_is_the_one_that_knows_its_label_best(mixed: bool):
    each, given = teachers(3), batch()
    if mixed:
        soft = torch.rand(B, C, generator=torch.Generator().manual_seed(3)).softmax(1)
        given = Batch(given.inputs, given.targets, given.index, given.view, soft)
    loss = around(node("kd", temperature=2.0, alpha=1.0), "best", WEIGHTS)
    chosen, picks = [], set()
    for row in range(B):
        logs = [one.logits[row].log_softmax(0) for one in each]
        errors = [
            -float((soft[row] * log).sum()) if mixed else -float(log[given.targets[row]])
            for log in logs
        ]
        picks.add(errors.index(min(errors)))
        chosen.append(each[errors.index(min(errors))].logits[row])
    assert len(picks) > 1  # else it is not seen that it is asked sample by sample
    wanted = 4 * kl((torch.stack(chosen) / 2).softmax(1), (STUDENT.logits / 2).softmax(1))
    found = loss(STUDENT, together(each), given, AT)["kd"].item()
    assert found == pytest.approx(wanted, rel=1e-5)


def test_features_are_those_of_each_teacher_and_labels_count_once():
    each, shares = teachers(3), [0.125, 0.375, 0.5]
    terms = {"kd": node("kd", alpha=1.0, temperature=4.0)}
    loss = around(node("combined", terms=terms), "probabilities", WEIGHTS)
    alone = build_loss(node("combined", terms=terms))
    mean = (
        4 * sum(w * (one.logits / 4).softmax(1) for w, one in zip(shares, each, strict=True)).log()
    )
    wanted = alone(STUDENT, Output(mean), batch(), AT)
    found = loss(STUDENT, together(each), batch(), AT)
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {name: value.item() for name, value in wanted.items()}, rel=1e-5
    )

    pair = build_loss(node("attention"))
    paths = {"tap[0]": "layer"}
    shape = TapShapes({"tap[0]": (2, *SIZES["tap"])}, nn.Linear(1, 1), paths)
    pair.bind(shape, shape, INFO)
    wanted_sum = sum(
        w * pair(STUDENT, one, batch(), AT)["attention"].item()
        for w, one in zip(shares, each, strict=True)
    )
    loss = starred(node("attention"), WEIGHTS, shape)
    found = loss(STUDENT, together(each), batch(), AT)
    assert found["attention"].item() == pytest.approx(wanted_sum, rel=1e-5)
    assert set(found) == {"ce", "attention"}


def starred(loss: dict[str, Any], weights: list[float], student: TapShapes) -> Loss:
    """A loss around one that taps several places, whose taps are called NAME[0], ..."""
    found = build_loss(
        {"name": "around_teachers", "loss": loss, "combine": "logits", "weights": weights}
    )
    count = range(len(weights))
    shapes = {f"{number}/tap/tap[0]": (2, *SIZES["tap"]) for number in count}
    paths = {name: f"members.{name[0]}.layer" for name in shapes}
    networks = nn.ModuleDict({"members": nn.ModuleList(nn.Linear(C, C) for _ in weights)})
    paths |= {f"{number}/logits": f"members.{number}" for number in count}
    found.bind(student, TapShapes(shapes, networks, paths), INFO)
    assert "teacher 2: pairs: layer (4x6x6) from layer (4x6x6)" in found.notes()
    return found


def test_teachers_that_agree_are_as_one():
    (one,) = teachers(1)
    for combine in ("probabilities", "logits", "best"):
        found = around(node("kd"), combine, [1.0, 2.0])(STUDENT, together([one] * 2), batch(), AT)
        wanted = build_loss(node("kd"))(STUDENT, one, batch(), AT)
        assert {name: value.item() for name, value in found.items()} == pytest.approx(
            {name: value.item() for name, value in wanted.items()}, rel=1e-9
        )


def test_parts_of_two_temperatures_have_no_one_mean_of_probabilities():
    terms = {"kd": node("kd", temperature=2.0), "attention": node("attention", pairs=[])}
    with pytest.raises(UserError, match=r"temperatures 2, 4, and probabilities are averaged at"):
        around(node("combined", terms=terms), "probabilities", [1.0, 1.0])
    around(node("combined", terms=terms), "logits", [1.0, 1.0])


def test_a_sum_without_soft_targets_of_its_own_has_the_temperature_of_its_parts():
    terms = {"kd": node("kd", temperature=2.0)}
    assert around(node("combined", terms=terms), "probabilities", [1.0, 1.0]).temperature == 2


def test_a_loss_without_a_teacher_is_refused():
    with pytest.raises(UserError, match="the loss 'ce' learns from no teacher"):
        around({"name": "ce"}, "logits", [1.0, 1.0])


def test_training_may_end_when_one_of_the_losses_says_so(monkeypatch: pytest.MonkeyPatch):
    loss = around(node("kd"), "logits", [1.0, 1.0])
    assert loss.stop_reason() == ""
    monkeypatch.setattr(loss.parts[1], "stop_reason", lambda: "near enough")
    assert loss.stop_reason() == "near enough"
    rising = around(node("attention", weight={"value": 1.0, "warmup": 2}), "logits", [1.0, 1.0])
    assert rising.ramp(replace(AT, step=0)) == 0
