"""Knowledge review against its formula, place by place and pixel by pixel."""

import pytest
import torch
from given import AT, INFO, B, bare, batch, bound, node, output, shapes, total
from torch import nn

from kdrun.core.types import Output, TapRequest
from kdrun.loss.review_kd import hierarchical_mse

STUDENT = {"tap[0]": (3, 8, 8), "tap[1]": (5, 5, 5), "last": (6,)}
TEACHER = {"tap[0]": (4, 8, 8), "tap[1]": (7, 3, 3), "last": (9,)}
KEYS = list(STUDENT)


def grid(features):
    return features.double() if features.dim() == 4 else features.double()[:, :, None, None]


def plain_nearest(maps, height, width):
    rows = [y * maps.shape[2] // height for y in range(height)]
    columns = [x * maps.shape[3] // width for x in range(width)]
    return torch.stack(
        [torch.stack([maps[:, :, y, x] for x in columns], dim=2) for y in rows], dim=2
    )


def plain_pool(maps, side):
    height, width = maps.shape[2:]
    found = torch.zeros(*maps.shape[:2], side, side, dtype=maps.dtype)
    for y in range(side):
        for x in range(side):
            top, bottom = y * height // side, -((y + 1) * height // -side)
            left, right = x * width // side, -((x + 1) * width // -side)
            found[:, :, y, x] = maps[:, :, top:bottom, left:right].mean(dim=(2, 3))
    return found


def plain_hcl(student, teacher):
    found, share = [(1.0, ((student - teacher) ** 2).mean().item())], 1.0
    for side in (4, 2, 1):
        if side < student.shape[2]:
            share /= 2
            apart = plain_pool(student, side) - plain_pool(teacher, side)
            found.append((share, (apart**2).mean().item()))
    return sum(share * value for share, value in found) / sum(share for share, _ in found)


def plain(loss, student, teacher):
    loss, value, deeper = loss.double(), 0.0, None
    for tap, fusion in zip(reversed(KEYS), reversed(list(loss.fusions)), strict=True):
        source, target = grid(student.taps[tap]), grid(teacher.taps[tap])
        mixed = fusion.enter(source)
        if deeper is not None:
            deeper = plain_nearest(deeper, *mixed.shape[2:])
            shares = 1 / (1 + (-fusion.shares(torch.cat([mixed, deeper], dim=1))).exp())
            mixed = shares[:, :1] * mixed + shares[:, 1:] * deeper
        deeper = plain_nearest(mixed, *target.shape[2:])
        value += plain_hcl(fusion.leave(deeper), target)
    return value


def test_review_kd_equals_the_formula():
    loss = bound("review_kd", STUDENT, TEACHER)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    found = total(loss, student, teacher).item()
    assert found == pytest.approx(plain(loss, student, teacher), rel=1e-5)


@pytest.mark.parametrize("side", [1, 2, 3, 4, 7])
def test_maps_are_compared_at_every_level_that_is_smaller(side):
    maps = torch.randn(2, 2, 3, side, side, dtype=torch.float64)
    assert hierarchical_mse(*maps).item() == pytest.approx(plain_hcl(*maps), rel=1e-9)
    assert hierarchical_mse(maps[0], maps[0]).item() == 0


def test_the_gradient_of_review_kd_is_its_slope():
    small = {"tap[0]": (2, 3, 3), "last": (3,)}
    loss = bound("review_kd", small, {"tap[0]": (2, 4, 4), "last": (4,)}).double()
    teacher = output({"tap[0]": (2, 4, 4), "last": (4,)}, 2, torch.float64)
    inputs = [
        torch.randn(B, *shape, dtype=torch.float64, requires_grad=True) for shape in small.values()
    ]

    def value(*taps):
        return total(loss, Output(teacher.logits, dict(zip(small, taps, strict=True))), teacher)

    torch.autograd.gradcheck(value, inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_review_kd_is_finite_and_trains_the_student_and_all_its_parts(dtype):
    loss = bound("review_kd", STUDENT, TEACHER)
    student, teacher = output(STUDENT, 1, dtype), output(TEACHER, 2, dtype)
    for answer in (student, teacher):
        for tap in answer.taps.values():
            tap.mul_(1e4).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = total(loss, student, teacher)
    value.backward()
    assert value.isfinite()
    for tap in student.taps.values():
        assert tap.grad.isfinite().all()
        assert tap.grad.abs().max() > 0
    assert all(tap.grad is None for tap in teacher.taps.values())
    assert all(parameter.grad is not None for parameter in loss.parameters())


def test_the_deepest_place_mixes_with_nothing_and_the_width_is_its_own_up_to_512():
    loss = bound("review_kd", STUDENT, TEACHER)
    assert [fusion.shares is None for fusion in loss.fusions] == [False, False, True]
    assert all(fusion.enter[0].out_channels == 6 for fusion in loss.fusions)
    wide = bound("review_kd", {"tap": (600,)}, {"tap": (9,)})
    assert wide.fusions[0].enter[0].out_channels == 512


def test_review_kd_takes_stages_and_embeddings_by_itself_and_pairs_if_named():
    loss = bare("review_kd")
    taps = {"tap": "stages[*]", "last": "embedding"}
    assert loss.taps() == TapRequest(taps, taps)
    named = bare("review_kd", pairs=[["layer1", "layer2"]])
    assert named.taps() == TapRequest({"tap0": "layer1"}, {"tap0": "layer2"})


def test_review_kd_takes_tokens_and_a_network_with_fewer_places():
    tokens = {"tap[0]": (17, 6), "tap[1]": (17, 6), "tap[2]": (17, 6), "last": (6,)}
    loss = bound("review_kd", STUDENT, tokens)
    assert total(loss, output(STUDENT, 1), output(tokens, 2)).isfinite()


def test_review_kd_of_one_sample_is_zero():
    loss = bound("review_kd", STUDENT, TEACHER)
    student, teacher = (
        Output(torch.zeros(1, 3), {tap: torch.ones(1, *shape) for tap, shape in taps.items()})
        for taps in (STUDENT, TEACHER)
    )
    assert total(loss, student, teacher).item() == 0
    assert loss.min_batch == 2


def test_the_weight_warms_up_over_20_epochs():
    loss = bare("review_kd", weight=node("review_kd")["weight"])
    loss.bind(shapes(STUDENT, nn.Linear(1, 1)), shapes(TEACHER), INFO)
    assert loss(output(STUDENT, 1), output(TEACHER, 2), batch(), AT).keys() == {"ce"}
