"""Layer fusion against its formula, channel by channel."""

import pytest
import torch
from given import B, bare, bound, output, total

from kdrun.core.types import Output, TapRequest

STUDENT = {"tap": (5, 4, 4)}
TEACHER = {"tap[0]": (3, 8, 8), "tap[1]": (4, 4, 4), "tap[2]": (6, 2, 2)}
MERGES = ["concat", "sum"]


def plain_resized(maps, side):
    """Averages of blocks, or pixels again; sides are multiples of each other."""
    old = maps.shape[2]
    found = torch.zeros(*maps.shape[:2], side, side, dtype=torch.float64)
    for y in range(side):
        for x in range(side):
            if old >= side:
                step = old // side
                block = maps[:, :, y * step : (y + 1) * step, x * step : (x + 1) * step]
                found[:, :, y, x] = block.mean(dim=(2, 3))
            else:
                found[:, :, y, x] = maps[:, :, y * old // side, x * old // side]
    return found


def plain_convolution(layer, maps):
    weight = layer.weight.double()[:, :, 0, 0]
    found = torch.zeros(len(maps), len(weight), *maps.shape[2:], dtype=torch.float64)
    for channel, row in enumerate(weight):
        for source, value in enumerate(row):
            found[:, channel] += value * maps[:, source]
        if layer.bias is not None:
            found[:, channel] += layer.bias[channel].double()
    return found


def plain_standardized(maps):
    found = torch.zeros_like(maps)
    for channel in range(maps.shape[1]):
        values = maps[:, channel]
        mean = values.sum() / values.numel()
        variance = ((values - mean) ** 2).sum() / values.numel()
        found[:, channel] = (values - mean) / (variance + 1e-5) ** 0.5
    return found


def plain(loss, merge, student, teacher):
    maps = [plain_resized(tap.double(), 4) for tap in teacher.taps.values()]
    if merge == "sum":
        pairs = zip(loss.mergers, maps, strict=True)
        target = sum(plain_convolution(layer, part) for layer, part in pairs)
    else:
        target = torch.cat(maps, dim=1)
    adapted_maps = plain_convolution(loss.adapter, student.taps["tap"].double())
    return ((adapted_maps - plain_standardized(target)) ** 2).mean().item()


@pytest.mark.parametrize("merge", MERGES)
def test_layer_fusion_equals_the_formula(merge):
    loss = bound("layer_fusion", STUDENT, TEACHER, merge=merge)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    expected = plain(loss, merge, student, teacher)
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("merge", MERGES)
def test_the_gradient_of_layer_fusion_is_its_slope(merge):
    loss = bound("layer_fusion", {"tap": (2, 4, 4)}, TEACHER, merge=merge).double()
    teacher = output(TEACHER, 2, torch.float64)
    inputs = torch.randn(B, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(
        lambda tap: total(loss, Output(teacher.logits, {"tap": tap}), teacher), inputs
    )


def test_concat_ignores_the_scale_and_shift_of_each_stage_of_the_teacher():
    loss, student = bound("layer_fusion", STUDENT, TEACHER), output(STUDENT, 1)
    teacher = output(TEACHER, 2)
    before = total(loss, student, teacher)
    for number, tap in enumerate(teacher.taps.values()):
        tap.mul_(50 * (number + 1)).add_(number)
    torch.testing.assert_close(total(loss, student, teacher), before, rtol=1e-4, atol=0)


@pytest.mark.parametrize("merge", MERGES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_layer_fusion_is_finite_and_trains_the_student_and_all_its_parts(merge, dtype):
    loss = bound("layer_fusion", STUDENT, TEACHER, merge=merge)
    student, teacher = output(STUDENT, 1, dtype), output(TEACHER, 2, dtype)
    for answer in (student, teacher):
        for tap in answer.taps.values():
            tap.mul_(1e4).requires_grad_()
    teacher.taps["tap[1]"].data[:, 0] = 3  # a channel that says nothing
    value = total(loss, student, teacher)
    value.backward()
    assert value.isfinite()
    assert student.taps["tap"].grad.isfinite().all()
    assert student.taps["tap"].grad.abs().max() > 0
    assert all(tap.grad is None for tap in teacher.taps.values())
    assert all(parameter.grad is not None for parameter in loss.parameters())


def test_layer_fusion_takes_tokens_and_vectors():
    tokens = {"tap[0]": (17, 6), "tap[1]": (7,)}
    loss = bound("layer_fusion", {"tap": (10, 3)}, tokens)
    assert total(loss, output({"tap": (10, 3)}, 1), output(tokens, 2)).isfinite()


def test_layer_fusion_asks_for_all_stages_or_those_named():
    auto = bare("layer_fusion").taps()
    assert auto == TapRequest({"tap": "stages[-1]"}, {"tap": "stages[*]"})
    named = bare("layer_fusion", place="layer2", teacher_places=["a", "b"]).taps()
    assert named == TapRequest({"tap": "layer2"}, {"tap0": "a", "tap1": "b"})


def test_layer_fusion_says_what_is_merged():
    loss = bound("layer_fusion", STUDENT, TEACHER)
    assert loss.notes() == ["tap from tap[0], tap[1], tap[2], merged into 13 channels"]


def test_layer_fusion_of_one_sample_is_zero():
    loss = bound("layer_fusion", STUDENT, TEACHER)
    student, teacher = (
        Output(torch.zeros(1, 3), {tap: torch.ones(1, *shape) for tap, shape in taps.items()})
        for taps in (STUDENT, TEACHER)
    )
    assert total(loss, student, teacher).item() == 0
    assert loss.min_batch == 2
