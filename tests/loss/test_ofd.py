"""Overhaul against its formula, neuron by neuron, and its margins against sampled normals."""

import math

import pytest
import torch
from given import INFO, B, C, bare, output, shapes, total
from torch import Tensor, nn

STUDENT, TEACHER = {"tap": (3, 4, 4)}, {"tap": (5, 4, 4)}


def network() -> nn.Sequential:
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(5)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    with torch.no_grad():
        norm.weight[0], norm.bias[0] = 0.1, 2.0  # never negative
    return nn.Sequential(nn.Conv2d(3, 5, 1), norm, nn.ReLU(), nn.Linear(C, C))


def bound(place: str):
    loss = bare("ofd")
    torch.manual_seed(0)
    teacher = shapes(TEACHER, network())
    teacher.paths["tap"] = place
    loss.bind(shapes(STUDENT), teacher, INFO)
    return loss


def plain_margin(weight: float, bias: float) -> float:
    deviation = abs(weight)
    below = 0.5 * (1 + math.erf(-bias / deviation / math.sqrt(2)))
    if below <= 0.001:
        return -3 * deviation
    density = math.exp(-((bias / deviation) ** 2) / 2) / math.sqrt(2 * math.pi)
    return bias - deviation * density / below


def adapted(loss, features: Tensor) -> Tensor:
    weight = loss.adapters[0][0].weight.double()[:, :, 0, 0]
    maps = torch.einsum("oc,bchw->bohw", weight, features.double())
    mean = maps.mean(dim=(0, 2, 3), keepdim=True)
    spread = ((maps - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
    return ((maps - mean) / (spread + 1e-5) ** 0.5).detach()


@pytest.mark.parametrize("place", ["2:in", "0"])
def test_ofd_equals_the_formula_with_margins_of_norm_or_batch(place):
    loss = bound(place)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    student_maps, teacher_maps = adapted(loss, student.taps["tap"]), teacher.taps["tap"].double()
    norm = network()[1]
    expected = 0.0
    for channel in range(5):
        values = teacher_maps[:, channel].flatten().tolist()
        below = [value for value in values if value < 0]
        margin = sum(below) / len(below)
        if place == "2:in":
            margin = plain_margin(norm.weight[channel].item(), norm.bias[channel].item())
        for s, t in zip(student_maps[:, channel].flatten().tolist(), values, strict=True):
            target = max(t, margin)
            if not s <= target <= 0:
                expected += (s - target) ** 2 / B
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)
    assert ("no batch norm" in " ".join(loss.notes())) == (place == "0")


def test_its_gradient_is_that_of_its_value():
    loss = bound("2:in").double()
    student, teacher = output(STUDENT, 1, torch.float64), output(TEACHER, 2, torch.float64)

    def value(features: Tensor) -> Tensor:
        student.taps = {"tap": features}
        return total(loss, student, teacher)

    assert torch.autograd.gradcheck(value, student.taps["tap"].requires_grad_(), fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_margins_of_the_batch_are_finite_for_extreme_features_in_half_precision(dtype):
    loss = bound("0")
    student, teacher = output(STUDENT, 1, dtype), output(TEACHER, 2, dtype)
    for features in (student.taps["tap"], teacher.taps["tap"]):
        features.mul_(1e4).requires_grad_()
    value = total(loss, student, teacher)
    value.backward()
    assert value.dtype == torch.float32 and value.isfinite()
    assert teacher.taps["tap"].grad is None
