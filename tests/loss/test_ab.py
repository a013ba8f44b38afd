"""Activation boundaries against their formula, neuron by neuron."""

from dataclasses import replace

import pytest
import torch
from given import AT, B, batch, bound, has_the_gradient_of_its_value, output, total
from torch import Tensor

STUDENT = {"tap[0]": (3, 8, 8), "tap[1]": (5, 4, 4)}
TEACHER = {"tap[0]": (3, 8, 8), "tap[1]": (6, 4, 4)}


def plain_ab(student: list[Tensor], teacher: list[Tensor], margin: float) -> float:
    found = 0.0
    for layer, (student_maps, teacher_maps) in enumerate(
        zip(student, teacher, strict=True), start=1
    ):
        hinge = 0.0
        for s, t in zip(
            student_maps.flatten().tolist(), teacher_maps.flatten().tolist(), strict=True
        ):
            if t <= 0 and s > -margin:
                hinge += (s + margin) ** 2
            if t > 0 and s <= margin:
                hinge += (s - margin) ** 2
        found += 2.0 ** (layer - len(student)) * hinge / B
    return found / 1000 * 3


def adapted(loss, features: Tensor) -> Tensor:
    """The second adapter's 1x1 convolution and norm, in float64 lines."""
    weight = loss.adapters[1][0].weight.double()[:, :, 0, 0]
    maps = torch.einsum("oc,bchw->bohw", weight, features.double())
    mean = maps.mean(dim=(0, 2, 3), keepdim=True)
    spread = ((maps - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    return ((maps - mean) / (spread + 1e-5) ** 0.5).detach()


@pytest.mark.parametrize("margin", [1.0, 0.3])
def test_ab_equals_the_formula(margin):
    loss = bound("ab", STUDENT, TEACHER, margin=margin, first_epochs=0)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    student_maps = [student.taps["tap[0]"].double(), adapted(loss, student.taps["tap[1]"])]
    expected = plain_ab(student_maps, list(teacher.taps.values()), margin)
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_its_gradient_is_that_of_its_value():
    loss = bound("ab", STUDENT, TEACHER, first_epochs=0).double()
    assert has_the_gradient_of_its_value(loss, STUDENT, TEACHER)


def test_only_the_teachers_signs_count_and_beyond_the_margin_nothing():
    taps = {"tap": (3, 4, 4)}
    loss = bound("ab", taps, taps, first_epochs=0)
    student, teacher = output(taps, 1), output(taps, 2)
    before = total(loss, student, teacher)
    teacher.taps["tap"].mul_(9)
    torch.testing.assert_close(total(loss, student, teacher), before)
    student.taps["tap"] = teacher.taps["tap"].sign() * 1.5
    assert total(loss, student, teacher).item() == 0


def test_the_first_phase_has_the_term_alone_and_the_main_phase_the_labels():
    loss = bound("ab", STUDENT, TEACHER, first_epochs=2, weight=9.0, ce=1.0)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    first, main = loss.phases()
    assert (first.epochs, main.name, main.epochs) == (2, "main", None)
    joint = bound("ab", STUDENT, TEACHER, first_epochs=0)
    alone = loss(student, teacher, batch(), replace(AT, phase=first.name))
    assert alone == {"ab": total(joint, student, teacher)}
    assert list(loss(student, teacher, batch(), AT)) == ["ce"]
