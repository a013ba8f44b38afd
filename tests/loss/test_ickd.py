"""Correlations of channels against their formula, number by number."""

import pytest
import torch
from given import B, bound, output, total
from torch import Tensor

STUDENT, TEACHER = {"tap": (3, 4, 4)}, {"tap": (5, 2, 2)}


def adapted(loss, features: Tensor) -> Tensor:
    """The adapter's 1x1 convolution and norm, in float64 lines."""
    weight = loss.adapters[0][0].weight.double()[:, :, 0, 0]
    maps = torch.einsum("oc,bchw->bohw", weight, features.double())
    mean = maps.mean(dim=(0, 2, 3), keepdim=True)
    spread = ((maps - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    return ((maps - mean) / (spread + 1e-5) ** 0.5).detach()


def plain_gram(sample: Tensor) -> list[list[float]]:
    rows = [channel.flatten().tolist() for channel in sample]
    gram = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in rows] for x in rows]
    return [[value / sum(v**2 for v in row) ** 0.5 for value in row] for row in gram]


def test_ickd_equals_the_formula():
    loss = bound("ickd", STUDENT, TEACHER)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    expected = 0.0
    adapted_maps = adapted(loss, student.taps["tap"])
    for student_maps, teacher_maps in zip(adapted_maps, teacher.taps["tap"].double(), strict=True):
        for s, t in zip(plain_gram(student_maps), plain_gram(teacher_maps), strict=True):
            expected += sum((a - b) ** 2 for a, b in zip(s, t, strict=True)) / (B * 5)
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_its_gradient_is_that_of_its_value():
    loss = bound("ickd", STUDENT, TEACHER).double()
    student, teacher = output(STUDENT, 1, torch.float64), output(TEACHER, 2, torch.float64)

    def value(features: Tensor) -> Tensor:
        student.taps = {"tap": features}
        return total(loss, student, teacher)

    assert torch.autograd.gradcheck(value, student.taps["tap"].requires_grad_(), fast_mode=True)


def test_it_ignores_the_teachers_scale_and_the_order_of_samples():
    loss = bound("ickd", STUDENT, TEACHER)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    before = total(loss, student, teacher)
    student.taps = {"tap": student.taps["tap"].flip(0)}
    teacher.taps = {"tap": 7 * teacher.taps["tap"].flip(0)}
    torch.testing.assert_close(total(loss, student, teacher), before)
