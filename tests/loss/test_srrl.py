"""Softmax regression representation learning against its formula, number by number."""

import pytest
import torch
from given import AT, INFO, B, C, bare, batch, output, total
from torch import nn

from kdrun.core.errors import UserError
from kdrun.core.types import Output, TapShapes

STUDENT, TEACHER = {"tap": (6,)}, {"tap": (9,)}
PLACES = {"tap": "head:in", "head": "head"}


def network(head):
    return nn.ModuleDict({"body": nn.Linear(3, 9), "head": head})


def made(head=None, student=(6,), **changes):
    torch.manual_seed(0)
    head = head or nn.Linear(9, C)
    loss = bare("srrl", **changes)
    student_taps = TapShapes({"tap": (2, *student)}, network(head), {"tap": "fc:in"})
    loss.bind(student_taps, TapShapes({"tap": (2, 9), "head": (2, C)}, network(head), PLACES), INFO)
    return loss, head


def plain_linear(rows, weight, bias):
    weight, bias = weight.double().tolist(), bias.double().tolist()
    both = list(zip(weight, bias, strict=True))
    return [
        [sum(w * x for w, x in zip(line, row, strict=True)) + b for line, b in both] for row in rows
    ]


def plain_norm(rows, relu):
    found = []
    for column in zip(*rows, strict=True):
        mean = sum(column) / len(column)
        spread = (sum((value - mean) ** 2 for value in column) / len(column) + 1e-5) ** 0.5
        found.append([(value - mean) / spread for value in column])
    floor = 0.0 if relu else -1e9
    return [[max(floor, value) for value in row] for row in zip(*found, strict=True)]


def plain_mean(rows, others):
    squares = [
        (a - b) ** 2
        for row, other in zip(rows, others.double().tolist(), strict=True)
        for a, b in zip(row, other, strict=True)
    ]
    return sum(squares) / len(squares)


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_srrl_equals_the_formula(relu, bias):
    loss, head = made(nn.Linear(9, C, bias=bias), relu=relu)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    rows = student.taps["tap"].double().tolist()
    adapted = plain_norm(plain_linear(rows, loss.adapter[0].weight, torch.zeros(9)), relu)
    logits = plain_linear(adapted, head.weight, head.bias if bias else torch.zeros(C))
    terms = loss(student, teacher, batch(), AT)
    features = plain_mean(adapted, teacher.taps["tap"])
    assert terms["srrl_features"].item() == pytest.approx(features, rel=1e-5)
    head_term = plain_mean(logits, teacher.logits)
    assert terms["srrl_logits"].item() == pytest.approx(head_term, rel=1e-5)


def test_the_gradient_of_srrl_is_its_slope():
    loss, teacher = made()[0].double(), output(TEACHER, 2, torch.float64)
    inputs = torch.randn(B, 6, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(
        lambda tap: total(loss, Output(teacher.logits, {"tap": tap}), teacher), inputs
    )


def test_the_teachers_classifier_is_neither_trained_nor_saved_nor_changed():
    loss, head = made()
    assert set(loss.state_dict()) == {f"adapter.{name}" for name in loss.adapter.state_dict()}
    assert not any(part is head for part in loss.modules())
    total(loss, output(STUDENT, 1), output(TEACHER, 2)).backward()
    assert head.weight.grad is None
    assert not loss.head_weight.requires_grad
    assert all(parameter.grad is not None for parameter in loss.parameters())


def test_srrl_follows_the_loss_to_another_type_as_its_adapter_does():
    assert made()[0].double().head_weight.dtype == torch.float64


def test_srrl_reads_maps_of_the_student_as_their_averages():
    loss, _ = made(student=(6, 4, 4))
    assert loss.adapter[0].weight.shape == (9, 6)
    assert total(loss, output({"tap": (6, 4, 4)}, 1), output(TEACHER, 2)).isfinite()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_srrl_is_finite_and_trains_the_student_alone(dtype):
    loss, _ = made()
    student, teacher = output(STUDENT, 1, dtype), output(TEACHER, 2, dtype)
    teacher.logits.mul_(1e3).requires_grad_()
    for answer in (student, teacher):
        answer.taps["tap"].mul_(1e4).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = total(loss, student, teacher)
    value.backward()
    assert value.isfinite()
    assert student.taps["tap"].grad.isfinite().all()
    assert student.taps["tap"].grad.abs().max() > 0
    assert teacher.taps["tap"].grad is teacher.logits.grad is None


def test_srrl_of_one_sample_is_zero():
    loss, _ = made()
    student = Output(torch.zeros(1, C), {"tap": torch.ones(1, 6, requires_grad=True)})
    assert total(loss, student, Output(torch.ones(1, C), {"tap": torch.ones(1, 9)})).item() == 0
    assert loss.min_batch == 2


@pytest.mark.parametrize(
    ("head", "words"),
    [(nn.Conv2d(9, C, 1), "this teacher has none"), (nn.Linear(8, C), "reads 8 numbers")],
)
def test_srrl_refuses_a_teacher_whose_classifier_it_cannot_reuse(head, words):
    with pytest.raises(UserError, match=words):
        made(head)
