"""Flow matrices against their formula, and the two phases."""

from dataclasses import replace
from itertools import pairwise

import pytest
from given import AT, B, batch, bound, has_the_gradient_of_its_value, output, total
from torch import Tensor

from kdrun.core.errors import UserError

TAPS = {"tap[0]": (3, 4, 4), "tap[1]": (5, 4, 4), "tap[2]": (4, 2, 2)}
OTHER = {"tap[0]": (3, 8, 8), "tap[1]": (5, 2, 2), "tap[2]": (4, 2, 2)}


def plain_pool(features: Tensor, size: int) -> Tensor:
    by = features.shape[2] // size
    return features.double().unfold(2, by, by).unfold(3, by, by).mean(dim=(4, 5))


def plain_flow(before: Tensor, after: Tensor) -> list[float]:
    size = min(before.shape[2], after.shape[2])
    first, second = plain_pool(before, size), plain_pool(after, size)
    return [
        sum(
            first[b, i, y, x].item() * second[b, j, y, x].item()
            for y in range(size)
            for x in range(size)
        )
        / size**2
        for b in range(B)
        for i in range(first.shape[1])
        for j in range(second.shape[1])
    ]


def test_fsp_equals_the_formula():
    loss = bound("fsp", TAPS, OTHER, first_epochs=0)
    student, teacher = output(TAPS, 1), output(OTHER, 2)
    expected = 0.0
    names = list(TAPS)
    for before, after in pairwise(names):
        student_flow = plain_flow(student.taps[before], student.taps[after])
        teacher_flow = plain_flow(teacher.taps[before], teacher.taps[after])
        expected += sum(
            (s - t) ** 2 for s, t in zip(student_flow, teacher_flow, strict=True)
        ) / len(student_flow)
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_its_gradient_is_that_of_its_value():
    loss = bound("fsp", TAPS, OTHER, first_epochs=0)
    assert has_the_gradient_of_its_value(loss, TAPS, OTHER)


def test_it_is_zero_for_equal_features():
    loss, same = bound("fsp", TAPS, TAPS, first_epochs=0), output(TAPS, 1)
    assert total(loss, same, same).item() == 0


def test_the_first_phase_has_the_term_alone_and_the_main_phase_the_labels():
    loss = bound("fsp", TAPS, TAPS, first_epochs=3, weight=50.0, ce=1.0)
    student, teacher = output(TAPS, 1), output(TAPS, 2)
    first, main = loss.phases()
    assert (first.epochs, main.name, main.epochs) == (3, "main", None)
    joint = bound("fsp", TAPS, TAPS, first_epochs=0)
    alone = loss(student, teacher, batch(), replace(AT, phase=first.name))
    assert alone == {"fsp": total(joint, student, teacher)}
    assert list(loss(student, teacher, batch(), AT)) == ["ce"]


def test_other_channels_are_refused_with_what_to_do():
    with pytest.raises(UserError, match=r"have 3 and 6\.\n.*loss\.pairs="):
        bound("fsp", TAPS, {**TAPS, "tap[0]": (6, 4, 4)})
    with pytest.raises(UserError, match="needs 2 layers"):
        bound("fsp", {"tap[0]": (3, 4, 4)}, {"tap[0]": (3, 4, 4)})
