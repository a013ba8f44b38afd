"""A teacher that follows its student, against the rule written out."""

from dataclasses import replace

import pytest
import torch
from given import INFO, B, C, node
from torch import nn

from kdrun.core.errors import UserError
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.taps import TappedNetwork, tap_shapes
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.loss.functional import label_loss
from kdrun.loss.logits import soft_loss
from kdrun.loss.table import build_loss

DATA = DataInfo(INFO.classes, ImageInputs(2, (4, 4)), 512)
STEPS, EPOCHS = 3, 6  # of an epoch, and epochs


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, C)
    ).double()


def moving(student: nn.Module, inner=None, **changes):
    settings = {"kind": "ema", "decay": 0.75, "every": 2, "start": 0, **changes}
    loss = build_loss({"name": "moving_teacher", "loss": inner or node("kd"), **settings})
    paths = dict(loss.taps().student)
    shapes = tap_shapes(student.float(), paths, DATA)
    student.double()
    loss.bind(TapShapes(shapes, student, paths), None, DATA)
    return loss.double().train()


def at(step: int, phase: str = "main") -> Progress:
    return Progress(phase, step // STEPS, EPOCHS, step, EPOCHS * STEPS)


def images(step: int) -> Batch:
    random = torch.Generator().manual_seed(step)
    rows = torch.arange(B)
    inputs = torch.randn(B, 2, 4, 4, generator=random, dtype=torch.float64)
    return Batch(inputs, torch.randint(C, (B,), generator=random), rows, rows * 0)


def walk(student: nn.Module, loss, steps: int, each=lambda step, found: None) -> None:
    """Steps of which each moves the student's weights and statistics by something."""
    student.train()
    for step in range(steps):
        batch = images(step)
        each(step, loss(Output(student(batch.inputs)), None, batch, at(step)))
        with torch.no_grad():
            for number, value in enumerate(student.parameters()):
                value.add_(0.01 * (step + 1) * (number + 1))


def test_the_average_follows_the_rule():
    student = small()
    loss, expected = moving(student), {}
    kept = {name: value.clone() for name, value in student.state_dict().items()}

    def compare(step, found):
        share = min(1 - 1 / (step + 1), 0.75)
        for name, value in student.state_dict().items():
            new = value.clone()
            expected[name] = (
                share * kept[name] + (1 - share) * new if value.is_floating_point() else new
            )
        kept.update(expected)
        for name, value in loss.teacher.state_dict().items():
            torch.testing.assert_close(value, expected[name])

    walk(student, loss, 7, compare)


def test_snapshots_are_taken_when_they_are_due():
    student = small()
    loss, taken = moving(student, kind="snapshot", start=1), []

    def look(step, found):
        same = torch.equal(loss.teacher[4].weight, student[4].weight)
        taken.extend([step] if same else [])

    walk(student, loss, EPOCHS * STEPS, look)
    assert taken == [0, 3, 9, 15]  # at first it is the student that it was copied from


def test_before_it_starts_only_labels_count_and_then_the_loss_inside():
    student = small()
    loss, term_names = moving(student, node("kd", alpha=0.5, temperature=2.0), start=2), []
    walk(student, loss, 2 * STEPS, lambda step, found: term_names.append(set(found)))
    assert term_names == [{"ce"}] * (2 * STEPS)
    batch = images(99)
    logits = student(batch.inputs)
    found = loss(Output(logits), None, batch, at(2 * STEPS))
    answers = loss.teacher(batch.inputs)
    torch.testing.assert_close(found["ce"], 0.5 * label_loss(logits, batch))
    torch.testing.assert_close(found["kd"], 0.5 * soft_loss(logits, answers, 2.0))
    assert found["kd"] > 0


def test_nothing_but_the_average_moves_the_copy():
    loss = moving(small())
    assert list(loss.parameters()) == []
    assert not loss.teacher.training
    state = loss.state_dict()
    assert "teacher.0.weight" in state
    batch = images(0)
    student = loss._student[0].train()
    loss(Output(student(batch.inputs)), None, batch, at(0))
    before = loss.teacher[1].running_mean.clone()
    loss(Output(student(batch.inputs)), None, batch, at(0))  # a second part of the same step
    assert torch.equal(loss.teacher[1].running_mean, before)


def test_a_loss_on_features_taps_the_copy():
    student = small()
    loss = moving(student, node("attention", pairs=[["0", "1"]], weight=1.0, ce=0.0))
    ask = TappedNetwork(student, dict(loss.taps().student))
    batch = images(0)
    loss(ask(batch.inputs), None, batch, at(0))
    with torch.no_grad():
        student[1].weight.add_(torch.randn(4))
    found = loss(ask(batch.inputs), None, batch, at(1))
    assert set(found) == {"attention"}
    assert found["attention"] > 0
    found["attention"].backward()
    assert student[0].weight.grad.abs().sum() > 0


def test_a_loss_without_a_teacher_is_refused():
    with pytest.raises(UserError, match="loss 'ce' reads no teacher"):
        moving(small(), node("ce"))


def test_where_labels_are_missing_the_copys_decisions_stand_for_them():
    network = small()
    loss = moving(network, node("dkd", weight=1.0))
    batch = images(0)
    inputs, count = batch.inputs, len(batch.targets)
    with torch.no_grad():
        wanted = small().eval()(inputs).argmax(1)  # the copy starts as the student
    hidden = Batch(inputs, torch.zeros_like(batch.targets), batch.index, batch.view)
    hidden = replace(hidden, labeled=torch.zeros(count, dtype=torch.bool))
    known = replace(hidden, targets=wanted)
    assert not loss.needs_labels and not wanted.eq(0).all()
    values = []
    for one in (hidden, known):
        answer = Output(network(inputs), {})
        values.append(loss(answer, None, one, at(0)))
    assert values[0].pop("ce") == 0 and values[0].keys() == {"dkd"}
    assert all(torch.equal(value, values[1][name]) for name, value in values[0].items())
