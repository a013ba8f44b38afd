"""Factors against their formula, computed layer by layer from the loss's own weights."""

from dataclasses import replace

import pytest
import torch
from given import AT, B, batch, bound, output, total
from torch import Tensor, nn

STUDENT, TEACHER = {"tap": (3, 4, 4)}, {"tap": (6, 2, 2)}
FIRST = replace(AT, phase="paraphraser")


def plain_layers(layers: nn.Sequential, maps: Tensor) -> Tensor:
    """Convolutions pixel by pixel, norms over the batch, leaky ReLUs; in float64."""
    maps = maps.double()
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            maps = plain_convolution(layer, maps)
        elif isinstance(layer, nn.BatchNorm2d):
            mean = maps.mean(dim=(0, 2, 3), keepdim=True)
            spread = ((maps - mean) ** 2).mean(dim=(0, 2, 3), keepdim=True)
            maps = (maps - mean) / (spread + layer.eps) ** 0.5
        else:
            maps = torch.where(maps > 0, maps, 0.1 * maps)
    return maps


def plain_convolution(layer: nn.Conv2d | nn.ConvTranspose2d, maps: Tensor) -> Tensor:
    weight = layer.weight.double()
    if isinstance(layer, nn.ConvTranspose2d):  # stride 1: the turned kernel, in and out exchanged
        weight = weight.transpose(0, 1).flip(2, 3)
    _, _, height, width = maps.shape
    padded = torch.zeros(*maps.shape[:2], height + 2, width + 2, dtype=torch.float64)
    padded[:, :, 1:-1, 1:-1] = maps
    found = torch.zeros(len(maps), len(weight), height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            window = padded[:, :, y : y + 3, x : x + 3]
            found[:, :, y, x] = torch.einsum("bcij,ocij->bo", window, weight)
    return found + layer.bias.double()[:, None, None]


def plain_ft(student: Tensor, teacher: Tensor) -> float:
    found = 0.0
    for student_factors, teacher_factors in zip(student, teacher, strict=True):
        s, t = student_factors.flatten().tolist(), teacher_factors.flatten().tolist()
        long_s, long_t = (sum(value**2 for value in row) ** 0.5 for row in (s, t))
        found += sum(abs(a / long_s - b / long_t) for a, b in zip(s, t, strict=True)) / len(s)
    return found / B


def test_ft_equals_the_formula():
    loss = bound("ft", STUDENT, TEACHER)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    with torch.no_grad():
        student_factors = plain_layers(loss.translator[0], student.taps["tap"])
        teacher_factors = plain_layers(loss.paraphraser[0][0], teacher.taps["tap"])
    assert teacher_factors.shape == (B, 3, 2, 2)  # half of the teacher's channels
    pooled = student_factors.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5))
    expected = plain_ft(pooled, teacher_factors)
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_the_paraphraser_learns_to_restore_the_teacher_alone_before():
    loss = bound("ft", STUDENT, TEACHER, first_epochs=7, weight=500.0, ce=1.0)
    first, main = loss.phases()
    assert (first.name, first.epochs, first.trains) == (
        "paraphraser",
        7,
        ("loss.paraphraser.*",),
    )
    assert main.trains == ("student.*", "loss.translator.*")
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    encoder, decoder = loss.paraphraser[0]
    with torch.no_grad():
        restored = plain_layers(decoder, plain_layers(encoder, teacher.taps["tap"]))
    expected = (restored - teacher.taps["tap"].double()).square().mean().item()
    found = loss(student, teacher, batch(), FIRST)
    assert list(found) == ["reconstruction"]
    assert found["reconstruction"].item() == pytest.approx(expected, rel=1e-5)
    found["reconstruction"].backward()
    assert all(part.grad is not None for part in loss.paraphraser.parameters())
    assert list(loss(student, teacher, batch(), AT)) == ["ce", "ft"]


def test_its_gradient_is_that_of_its_value_and_reaches_student_and_translator_only():
    loss = bound("ft", STUDENT, TEACHER).double()
    student, teacher = (output(taps, 1, torch.float64) for taps in (STUDENT, TEACHER))
    teacher.taps["tap"].requires_grad_()

    def value(features: Tensor) -> Tensor:
        student.taps = {"tap": features}
        return total(loss, student, teacher)

    start = student.taps["tap"].requires_grad_()
    assert torch.autograd.gradcheck(value, start, fast_mode=True)
    value(start).backward()
    assert all(part.grad is not None for part in loss.translator.parameters())
    assert all(part.grad is None for part in loss.paraphraser.parameters())
    assert teacher.taps["tap"].grad is None
