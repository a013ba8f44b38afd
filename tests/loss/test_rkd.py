"""Relational distillation against its formula, triple by triple."""

import pytest
import torch
from given import B, bound, output, total

from kdrun.core.types import Output
from kdrun.loss import rkd

STUDENT, TEACHER = {"tap": (6,)}, {"tap": (9,)}


def huber(difference):
    return 0.5 * difference**2 if abs(difference) < 1 else abs(difference) - 0.5


def minus(one, other):
    return [a - b for a, b in zip(one, other, strict=True)]


def norm(vector):
    return sum(value**2 for value in vector) ** 0.5


def plain_distances(rows):
    found = [[norm(minus(one, other)) for other in rows] for one in rows]
    above = [value for row in found for value in row if value > 0]
    mean = sum(above) / len(above)
    return [value / mean for row in found for value in row]


def plain_angles(rows):
    found = []
    for middle in rows:
        for one in rows:
            for other in rows:
                left, right = minus(one, middle), minus(other, middle)
                length = norm(left) * norm(right)
                dot = sum(a * b for a, b in zip(left, right, strict=True))
                found.append(dot / length if length > 0 else 0.0)
    return found


def plain(student, teacher, distance, angle):
    value = 0.0
    for share, relations in ((distance, plain_distances), (angle, plain_angles)):
        student_relations = relations(student.double().tolist())
        teacher_relations = relations(teacher.double().tolist())
        losses = [huber(a - b) for a, b in zip(student_relations, teacher_relations, strict=True)]
        value += share * sum(losses) / len(losses)
    return value


@pytest.mark.parametrize("shares", [(1.0, 0.0), (0.0, 1.0), (25.0, 50.0)])
@pytest.mark.parametrize("at_once", [2**24, 150])
def test_rkd_equals_the_formula_whether_or_not_in_groups(monkeypatch, shares, at_once):
    monkeypatch.setattr(rkd, "_MAX_NUMBERS", at_once)
    loss = bound("rkd", STUDENT, TEACHER, distance=shares[0], angle=shares[1])
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    expected = plain(student.taps["tap"], teacher.taps["tap"], *shares)
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("at_once", [2**24, 150])
def test_the_gradient_of_rkd_is_its_slope(monkeypatch, at_once):
    monkeypatch.setattr(rkd, "_MAX_NUMBERS", at_once)
    loss, teacher = bound("rkd", STUDENT, TEACHER), output(TEACHER, 2, torch.float64)
    inputs = torch.randn(B, 6, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(
        lambda tap: total(loss, Output(teacher.logits, {"tap": tap}), teacher), inputs
    )


def test_rkd_ignores_scale_shift_and_order():
    loss = bound("rkd", STUDENT, TEACHER)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    before = total(loss, student, teacher)
    order = torch.randperm(B)
    moved = Output(student.logits, {"tap": 7 * student.taps["tap"][order] + 3})
    same = Output(teacher.logits, {"tap": teacher.taps["tap"][order]})
    torch.testing.assert_close(total(loss, moved, same), before)


def test_rkd_is_zero_for_equal_embeddings():
    loss, same = bound("rkd", TEACHER, TEACHER), output(TEACHER, 3)
    assert total(loss, same, same).item() == 0


def test_rkd_reads_maps_as_their_averages():
    maps, vectors = output({"tap": (6, 3, 3)}, 1), output(TEACHER, 2)
    means = Output(maps.logits, {"tap": maps.taps["tap"].mean(dim=(2, 3))})
    found = total(bound("rkd", {"tap": (6, 3, 3)}, TEACHER), maps, vectors)
    torch.testing.assert_close(found, total(bound("rkd", STUDENT, TEACHER), means, vectors))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rkd_is_finite_and_trains_the_student_alone(dtype):
    loss = bound("rkd", STUDENT, TEACHER)
    student, teacher = output(STUDENT, 1, dtype), output(TEACHER, 2, dtype)
    for answer in (student, teacher):
        answer.taps["tap"].mul_(1e4)
        answer.taps["tap"][3] = answer.taps["tap"][2]  # two samples at one place
        answer.taps["tap"].requires_grad_()
    student.taps["tap"].data[5] = student.taps["tap"].data[4]
    value = total(loss, student, teacher)
    value.backward()
    assert value.isfinite()
    assert student.taps["tap"].grad.isfinite().all()
    assert student.taps["tap"].grad.abs().max() > 0
    assert teacher.taps["tap"].grad is None


@pytest.mark.parametrize("rows", [1, B])
def test_rkd_is_zero_where_there_are_no_relations(rows):
    loss = bound("rkd", STUDENT, TEACHER)
    taps = torch.ones(rows, 6, requires_grad=True)
    student = Output(torch.zeros(rows, 3), {"tap": taps})
    value = total(loss, student, Output(student.logits, {"tap": torch.ones(rows, 9)}))
    value.backward()
    assert value.item() == 0
    assert taps.grad.abs().max() == 0
    assert loss.min_batch == 2
