"""Similarities of samples and of channel maps against their formulas, number by number."""

import pytest
import torch
from given import B, bound, has_the_gradient_of_its_value, output, total
from torch import Tensor

STUDENT = {"tap[0]": (4, 8, 8), "tap[1]": (12, 2, 4)}
TEACHER = {"tap[0]": (6, 4, 4), "tap[1]": (7, 2, 4)}
WIDE = {"tap[0]": (5, 4, 4)}


def dot(first: list[float], second: list[float]) -> float:
    return sum(a * b for a, b in zip(first, second, strict=True))


def unit(row: list[float]) -> list[float]:
    length = dot(row, row) ** 0.5
    return [value / length for value in row]


def plain_sp(student: Tensor, teacher: Tensor) -> float:
    grams = []
    for features in (student, teacher):
        rows = [sample.double().flatten().tolist() for sample in features]
        grams.append([unit([dot(row, column) for column in rows]) for row in rows])
    student_grams, teacher_grams = grams
    return (
        sum((student_grams[i][j] - teacher_grams[i][j]) ** 2 for i in range(B) for j in range(B))
        / B**2
    )


def plain_pool(features: Tensor, height: int, width: int) -> Tensor:
    """Block means in float64; sizes divide each other."""
    down, right = features.shape[2] // height, features.shape[3] // width
    blocks = features.double().unfold(2, down, down).unfold(3, right, right)
    return blocks.mean(dim=(4, 5))


def plain_nst(student: Tensor, teacher: Tensor) -> float:
    height, width = min(student.shape[2], teacher.shape[2]), min(student.shape[3], teacher.shape[3])
    student_maps, teacher_maps = (
        plain_pool(student, height, width),
        plain_pool(teacher, height, width),
    )
    found = 0.0
    for sample in range(B):
        s, t = (
            [unit(channel.flatten().tolist()) for channel in features[sample]]
            for features in (student_maps, teacher_maps)
        )

        def kernel(first: list[list[float]], second: list[list[float]]) -> float:
            values = [dot(a, b) ** 2 for a in first for b in second]
            return sum(values) / len(values)

        found += kernel(t, t) + kernel(s, s) - 2 * kernel(s, t)
    return found / B


@pytest.mark.parametrize("name, plain", [("sp", plain_sp), ("nst", plain_nst)])
def test_it_equals_the_formula(name, plain):
    loss = bound(name, STUDENT, TEACHER)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    expected = sum(plain(student.taps[tap], teacher.taps[tap]) for tap in STUDENT)
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["sp", "nst"])
def test_its_gradient_is_that_of_its_value(name):
    loss = bound(name, STUDENT, TEACHER)
    assert has_the_gradient_of_its_value(loss, STUDENT, TEACHER)


@pytest.mark.parametrize("name", ["sp", "nst"])
def test_it_ignores_the_scale_and_the_order_of_samples(name):
    loss = bound(name, STUDENT, TEACHER)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    before = total(loss, student, teacher)
    order = torch.randperm(B, generator=torch.Generator().manual_seed(0))
    student.taps = {tap: 7 * value[order] for tap, value in student.taps.items()}
    teacher.taps = {tap: value[order] for tap, value in teacher.taps.items()}
    torch.testing.assert_close(total(loss, student, teacher), before)


@pytest.mark.parametrize("name", ["sp", "nst"])
def test_it_is_zero_for_equal_features(name):
    same = output(TEACHER, 3)
    assert total(bound(name, TEACHER, TEACHER), same, same).item() == pytest.approx(0, abs=1e-6)


def test_sp_has_nothing_to_say_of_one_sample():
    loss = bound("sp", STUDENT, TEACHER)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    for answer in (student, teacher):
        answer.taps = {tap: value[:1] for tap, value in answer.taps.items()}
    assert loss.min_batch == 2
    assert total(loss, student, teacher).item() == 0


def test_nst_ignores_the_order_of_channels():
    loss = bound("nst", WIDE, WIDE)
    same, turned = output(WIDE, 3), output(WIDE, 3)
    turned.taps = {tap: value.flip(1) for tap, value in turned.taps.items()}
    assert total(loss, turned, same).item() == pytest.approx(0, abs=1e-6)
