"""Attention transfer against its formula, pixel by pixel."""

import pytest
import torch
from given import bound, output, total
from torch import Tensor

STUDENT = {"tap[0]": (4, 8, 8), "tap[1]": (6, 4, 4)}
TEACHER = {"tap[0]": (16, 8, 8), "tap[1]": (32, 4, 4)}


def plain_map(features: Tensor, power: float) -> list[list[float]]:
    """Each sample's mean over channels of |F|^power at each pixel, as a unit vector."""
    found = []
    for sample in features.double():
        channels, height, width = sample.shape
        flattened = [
            sum(abs(sample[c, y, x].item()) ** power for c in range(channels)) / channels
            for y in range(height)
            for x in range(width)
        ]
        norm = sum(value**2 for value in flattened) ** 0.5
        found.append([value / norm for value in flattened])
    return found


def plain_distance(student: Tensor, teacher: Tensor, power: float) -> float:
    pairs = zip(plain_map(student, power), plain_map(teacher, power), strict=True)
    squares = [
        (s - t) ** 2
        for student_row, teacher_row in pairs
        for s, t in zip(student_row, teacher_row, strict=True)
    ]
    return sum(squares) / len(squares)


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_attention_equals_the_formula(power):
    loss = bound("attention", STUDENT, TEACHER, power=power)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    expected = sum(plain_distance(student.taps[tap], teacher.taps[tap], power) for tap in STUDENT)
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_attention_ignores_the_scale_of_features():
    loss = bound("attention", STUDENT, TEACHER)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    before = total(loss, student, teacher)
    for tap in STUDENT:
        student.taps[tap].mul_(7)
    torch.testing.assert_close(total(loss, student, teacher), before)


def test_attention_is_zero_for_equal_features():
    loss = bound("attention", TEACHER, TEACHER)
    same = output(TEACHER, 3)
    assert total(loss, same, same).item() == 0
