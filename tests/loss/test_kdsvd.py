"""Singular vectors against a literal decomposition of each sample."""

from itertools import pairwise

import pytest
import torch
from given import B, bound, has_the_gradient_of_its_value, output, total
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.loss.singular_vectors import top_singular

TAPS = {"tap[0]": (4, 6, 6), "tap[1]": (6, 3, 3), "tap[2]": (9, 2, 2)}
LARGE = {"tap[0]": (24, 8, 8), "tap[1]": (40, 5, 5)}


def vectors(maps: Tensor, count: int) -> tuple[list[float], list[Tensor]]:
    """The first singular values and right vectors of one sample's maps as (H W, C)."""
    _, values, turned = torch.linalg.svd(maps.double().flatten(1).T, full_matrices=False)
    return values[:count].tolist(), [row * (-1 if row.sum() < 0 else 1) for row in turned[:count]]


def plain_kdsvd(student: list[Tensor], teacher: list[Tensor], k: int) -> float:
    found = 0.0
    for sample in range(B):
        chosen = []
        for student_maps, teacher_maps in zip(student, teacher, strict=True):
            values, theirs = vectors(teacher_maps[sample], k)
            _, mine = vectors(student_maps[sample], k + 3)
            length = sum(value**2 for value in values) ** 0.5
            partners = []
            for vector in theirs:
                best = max(mine, key=lambda v, w=vector: abs(v @ w).item())
                partners.append(best * (1 if best @ vector > 0 else -1))
            chosen.append(
                [
                    (s * value / length, t * value / length)
                    for s, t, value in zip(partners, theirs, values, strict=True)
                ]
            )
        for before, after in pairwise(chosen):
            for (s0, t0), (s1, t1) in zip(before, after, strict=True):
                student_kernel = torch.exp(-((s0[:, None] - s1[None, :]) ** 2) / 8)
                teacher_kernel = torch.exp(-((t0[:, None] - t1[None, :]) ** 2) / 8)
                found += (student_kernel - teacher_kernel).square().sum().item()
    return found / B


@pytest.mark.parametrize("taps", [TAPS, LARGE])
@pytest.mark.parametrize("k", [1, 2])
def test_kdsvd_equals_the_formula(taps, k):
    loss = bound("kdsvd", taps, taps, vectors=k)
    student, teacher = output(taps, 1), output(taps, 2)
    for answer in (student, teacher):  # as after a ReLU
        answer.taps = {tap: value.relu() for tap, value in answer.taps.items()}
    expected = plain_kdsvd(list(student.taps.values()), list(teacher.taps.values()), k)
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(20, 64), (64, 20), (64, 200)])
def test_top_eigen_are_singular_vectors(shape):
    maps = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)).double().relu()
    values, found = top_singular(maps, 1)
    left, singular, _ = torch.linalg.svd(maps)
    torch.testing.assert_close(values, singular[:, :1].square())
    torch.testing.assert_close((left[:, :, :1] * found).sum(1).abs(), torch.ones(3, 1).double())


@pytest.mark.parametrize("k", [1, 2])
def test_its_gradient_is_that_of_its_value(k):
    loss = bound("kdsvd", TAPS, TAPS, vectors=k)
    assert has_the_gradient_of_its_value(loss, TAPS, TAPS)


def test_it_ignores_scale_and_sign_and_is_zero_for_equal_features():
    loss = bound("kdsvd", TAPS, TAPS)
    student, teacher = output(TAPS, 1), output(TAPS, 2)
    before = total(loss, student, teacher)
    student.taps = {tap: -7 * value for tap, value in student.taps.items()}
    torch.testing.assert_close(total(loss, student, teacher), before)
    assert total(loss, teacher, teacher).item() == pytest.approx(0, abs=1e-6)


def test_other_channels_are_adapted_and_a_single_place_is_refused():
    teacher_taps = {**TAPS, "tap[1]": (12, 3, 3)}
    loss = bound("kdsvd", TAPS, teacher_taps)
    assert total(loss, output(TAPS, 1), output(teacher_taps, 2)).isfinite()
    with pytest.raises(UserError, match="needs 2 layers"):
        bound("kdsvd", {"tap": (3, 4, 4)}, {"tap": (3, 4, 4)})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_it_is_finite_where_the_students_features_are_0(dtype):
    loss = bound("kdsvd", TAPS, TAPS)
    student, teacher = output(TAPS, 1, dtype), output(TAPS, 2, dtype)
    for tap in TAPS:
        student.taps[tap].zero_().requires_grad_()
        teacher.taps[tap].mul_(1e4).requires_grad_()
    value = total(loss, student, teacher)
    value.backward()
    assert value.dtype == torch.float32 and value.isfinite()
    assert all(tap.grad.isfinite().all() for tap in student.taps.values())
    assert all(tap.grad is None for tap in teacher.taps.values())


def test_its_vectors_are_found_without_autocast():
    # CUDA's autocast has no rule for decompositions: halved products would stop them.
    loss = bound("kdsvd", TAPS, TAPS)
    student, teacher = output(TAPS, 1), output(TAPS, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = total(loss, student, teacher)
    torch.testing.assert_close(mixed, total(loss, student, teacher), rtol=1e-6, atol=0)


def test_more_vectors_than_maps_have_are_refused():
    with pytest.raises(UserError) as error:
        bound("kdsvd", TAPS, TAPS, vectors=5)
    assert error.value.lines[0].startswith("kdsvd: loss.vectors=5, and maps of tap[")
    assert error.value.lines[1].startswith("  take loss.vectors=4 or less")
