"""Correlation congruence against its two formulas, pair by pair."""

import math

import pytest
import torch
from given import B, bound, output, total

from kdrun.core.types import Output

STUDENT, TEACHER = {"tap": (6,)}, {"tap": (9,)}
FORMS = ["neighbours", "kernel"]


def plain_linear(layer, rows):
    weight, bias = layer.weight.double().tolist(), layer.bias.double().tolist()
    both = list(zip(weight, bias, strict=True))
    return [
        [sum(w * x for w, x in zip(line, row, strict=True)) + b for line, b in both] for row in rows
    ]


def plain_neighbours(loss, student, teacher):
    student_rows, teacher_rows = (
        plain_linear(loss.students[0], student),
        plain_linear(loss.teachers[0], teacher),
    )
    value = 0.0
    for i in range(len(student_rows) - 1):
        for c in range(len(student_rows[0])):
            value += abs(student_rows[i][c] - teacher_rows[i][c]) * abs(
                student_rows[i + 1][c] - teacher_rows[i + 1][c]
            )
    return value / (len(student_rows) - 1)


def plain_kernel(rows, gamma, order):
    found = []
    for one in rows:
        for other in rows:
            dot = sum(a * b for a, b in zip(one, other, strict=True))
            cosine = dot / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))
            series = [(2 * gamma) ** p / math.factorial(p) * cosine**p for p in range(order + 1)]
            found.append(math.exp(-2 * gamma) * sum(series))
    return found


def test_cc_of_neighbours_equals_the_formula():
    loss = bound("cc", STUDENT, TEACHER, dim=5)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    rows = student.taps["tap"].double().tolist(), teacher.taps["tap"].double().tolist()
    expected = plain_neighbours(loss, *rows)
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("gamma", "order"), [(0.4, 2), (1.5, 0), (0.7, 4)])
def test_cc_of_kernels_equals_the_formula(gamma, order):
    loss = bound("cc", STUDENT, TEACHER, form="kernel", gamma=gamma, order=order)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    student_kernel = plain_kernel(student.taps["tap"].double().tolist(), gamma, order)
    teacher_kernel = plain_kernel(teacher.taps["tap"].double().tolist(), gamma, order)
    expected = sum((a - b) ** 2 for a, b in zip(student_kernel, teacher_kernel, strict=True)) / B**2
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_of_cc_is_its_slope(form):
    loss = bound("cc", STUDENT, TEACHER, form=form, dim=4).double()
    teacher = output(TEACHER, 2, torch.float64)
    inputs = torch.randn(B, 6, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(
        lambda tap: total(loss, Output(teacher.logits, {"tap": tap}), teacher), inputs
    )


def test_cc_of_kernels_ignores_scale_and_order_and_is_zero_for_equal_embeddings():
    loss = bound("cc", STUDENT, TEACHER, form="kernel")
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    order = torch.randperm(B)
    moved = Output(student.logits, {"tap": 7 * student.taps["tap"][order]})
    same = Output(teacher.logits, {"tap": teacher.taps["tap"][order]})
    torch.testing.assert_close(total(loss, moved, same), total(loss, student, teacher))
    assert total(loss, teacher, teacher).item() == 0


def test_cc_of_neighbours_trains_both_linear_maps():
    loss = bound("cc", STUDENT, TEACHER)
    total(loss, output(STUDENT, 1), output(TEACHER, 2)).backward()
    assert [value.grad is not None for value in loss.parameters()] == [True] * 4
    assert loss.students[0].weight.shape == (128, 6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_cc_is_finite_and_trains_the_student_alone(form, dtype):
    loss = bound("cc", STUDENT, TEACHER, form=form)
    student, teacher = output(STUDENT, 1, dtype), output(TEACHER, 2, dtype)
    for answer in (student, teacher):
        answer.taps["tap"].mul_(1e4)
        answer.taps["tap"][5] = 0
        answer.taps["tap"].requires_grad_()
    value = total(loss, student, teacher)
    value.backward()
    assert value.isfinite()
    assert student.taps["tap"].grad.isfinite().all()
    assert student.taps["tap"].grad.abs().max() > 0
    assert teacher.taps["tap"].grad is None


@pytest.mark.parametrize("form", FORMS)
def test_cc_of_one_sample_is_zero(form):
    taps = torch.ones(1, 6, requires_grad=True)
    student = Output(torch.zeros(1, 3), {"tap": taps})
    loss = bound("cc", STUDENT, TEACHER, form=form)
    value = total(loss, student, Output(student.logits, {"tap": torch.ones(1, 9)}))
    value.backward()
    assert value.item() == 0
    assert loss.min_batch == 2
