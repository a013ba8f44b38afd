"""Probabilistic knowledge transfer against its formula, pair by pair."""

import math

import pytest
import torch
from given import B, bound, output, total

from kdrun.core.types import Output

STUDENT, TEACHER = {"tap": (6,)}, {"tap": (9,)}


def plain_probabilities(rows):
    found = []
    for one in rows:
        likenesses = []
        for other in rows:
            dot = sum(a * b for a, b in zip(one, other, strict=True))
            length = math.sqrt(sum(a * a for a in one)) * math.sqrt(sum(b * b for b in other))
            likenesses.append((dot / length + 1) / 2)
        found += [likeness / sum(likenesses) for likeness in likenesses]
    return found


def plain(student, teacher):
    q = plain_probabilities(student.double().tolist())
    p = plain_probabilities(teacher.double().tolist())
    small = 1e-7
    terms = [b * math.log((b + small) / (a + small)) for a, b in zip(q, p, strict=True)]
    return sum(terms) / len(terms)


def test_pkt_equals_the_formula():
    loss, student, teacher = bound("pkt", STUDENT, TEACHER), output(STUDENT, 1), output(TEACHER, 2)
    expected = plain(student.taps["tap"], teacher.taps["tap"])
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_the_gradient_of_pkt_is_its_slope():
    loss, teacher = bound("pkt", STUDENT, TEACHER), output(TEACHER, 2, torch.float64)
    inputs = torch.randn(B, 6, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(
        lambda tap: total(loss, Output(teacher.logits, {"tap": tap}), teacher), inputs
    )


def test_pkt_ignores_each_samples_scale_and_the_order():
    loss, student, teacher = bound("pkt", STUDENT, TEACHER), output(STUDENT, 1), output(TEACHER, 2)
    before = total(loss, student, teacher)
    order, scale = torch.randperm(B), torch.rand(B, 1) + 0.5
    moved = Output(student.logits, {"tap": (student.taps["tap"] * scale)[order]})
    same = Output(teacher.logits, {"tap": teacher.taps["tap"][order]})
    torch.testing.assert_close(total(loss, moved, same), before)


def test_pkt_is_zero_for_equal_embeddings():
    loss, same = bound("pkt", TEACHER, TEACHER), output(TEACHER, 3)
    assert total(loss, same, same).item() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_pkt_is_finite_and_trains_the_student_alone(dtype):
    loss = bound("pkt", STUDENT, TEACHER)
    student, teacher = output(STUDENT, 1, dtype), output(TEACHER, 2, dtype)
    for answer in (student, teacher):
        answer.taps["tap"].mul_(1e4)
        answer.taps["tap"][2] = -answer.taps["tap"][3]  # probability 0
        answer.taps["tap"][5] = 0  # no direction
        answer.taps["tap"].requires_grad_()
    value = total(loss, student, teacher)
    value.backward()
    assert value.isfinite()
    assert student.taps["tap"].grad.isfinite().all()
    assert student.taps["tap"].grad.abs().max() > 0
    assert teacher.taps["tap"].grad is None


def test_pkt_of_one_sample_is_zero():
    taps = torch.ones(1, 6, requires_grad=True)
    student = Output(torch.zeros(1, 3), {"tap": taps})
    loss = bound("pkt", STUDENT, TEACHER)
    value = total(loss, student, Output(student.logits, {"tap": torch.ones(1, 9)}))
    value.backward()
    assert value.item() == 0
    assert loss.min_batch == 2
