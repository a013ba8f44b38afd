"""The discriminator's cross-entropy against its formula, and which way each side goes."""

import math

import pytest
import torch
from given import AT, INFO, B, bare, batch, bound, output, shapes, total
from torch import nn

STUDENT, TEACHER = {"tap": (4, 2, 2)}, {"tap": (6,)}


def plain(loss, student, teacher) -> float:
    """Loops over samples and units; the loss is in eval mode, in which its norms stand still."""
    first, _, last = loss.discriminators[0]
    matrix, bias = first.weight.tolist(), first.bias.tolist()
    out, shift = last.weight.tolist()[0], last.bias.item()
    adapter = loss.adapters[0]

    def score(features: list[float]) -> float:
        hidden = [
            sum(w * f for w, f in zip(row, features, strict=True)) + b
            for row, b in zip(matrix, bias, strict=True)
        ]
        hidden = [value if value > 0 else 0.2 * value for value in hidden]
        return 1 / (1 + math.exp(-sum(w * h for w, h in zip(out, hidden, strict=True)) - shift))

    found = 0.0
    for student_maps, teacher_values in zip(student.tolist(), teacher.tolist(), strict=True):
        pooled = [sum(sum(row) for row in channel) / 4 for channel in student_maps]
        mapped = [
            sum(w * f for w, f in zip(row, pooled, strict=True)) + b
            for row, b in zip(adapter.weight.tolist(), adapter.bias.tolist(), strict=True)
        ]
        found -= math.log(score(teacher_values)) + math.log(1 - score(mapped))
    return found / (2 * len(student))


def given(dtype=torch.float64, **changes):
    loss = bound("adversarial", STUDENT, TEACHER, **{"width": 5, **changes}).to(dtype)
    return loss.eval(), output(STUDENT, 1, dtype), output(TEACHER, 2, dtype)


def test_the_term_equals_the_formula():
    loss, student, teacher = given()
    expected = plain(loss, student.taps["tap"], teacher.taps["tap"])
    assert total(loss, student, teacher).item() == pytest.approx(expected, rel=1e-5)
    assert set(loss(student, teacher, batch(), AT)) == {"adversarial"}


@pytest.mark.parametrize("reversal", [0.0, 1.0, 2.5])
def test_the_student_goes_up_what_the_discriminator_goes_down(reversal):
    loss, student, teacher = given(reversal=reversal)
    features = student.taps["tap"].requires_grad_()
    teacher.taps["tap"].requires_grad_()
    total(loss, student, teacher).backward()
    assert teacher.taps["tap"].grad is None
    first = loss.discriminators[0][0].parametrizations.weight.original
    weights = (
        (features, (0, 1, 0, 1), -reversal),
        (loss.adapters[0].weight, (2, 3), -reversal),
        (first, (1, 2), 1.0),
    )
    for tensor, index, way in weights:
        with torch.no_grad():
            ends = []
            for move in (1e-6, -2e-6):
                tensor[index] += move
                ends.append(total(loss, student, teacher).item())
            tensor[index] += 1e-6
        slope = (ends[0] - ends[1]) / 2e-6
        assert tensor.grad[index].item() == pytest.approx(way * slope, rel=1e-4, abs=1e-9)


def test_gradcheck_of_what_the_discriminator_sees():
    loss, student, teacher = given(reversal=-1.0)  # no key of a config: the plain gradient

    def term(features):
        student.taps["tap"] = features
        return total(loss, student, teacher)

    assert torch.autograd.gradcheck(term, (student.taps["tap"].requires_grad_(),))


def test_no_layer_of_the_discriminator_stretches_anything():
    loss, student, teacher = given(torch.float32)
    with torch.no_grad():
        for layer in (loss.discriminators[0][0], loss.discriminators[0][2]):
            layer.parametrizations.weight.original.mul_(50)
    loss.train()
    for _ in range(30):
        total(loss, student, teacher)
    for layer in (loss.discriminators[0][0], loss.discriminators[0][2]):
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, rel=0.02)


def test_the_game_brings_the_students_features_to_the_teachers():
    torch.manual_seed(0)
    loss = bare("adversarial", width=16)
    loss.bind(shapes({"tap": (2,)}), shapes({"tap": (2,)}), INFO)
    assert isinstance(loss.adapters[0], nn.Identity)
    offset = nn.Parameter(torch.zeros(2))
    target = torch.tensor([3.0, -2.0])
    optimizer = torch.optim.Adam([offset, *loss.parameters()], lr=0.02, betas=(0.5, 0.9))
    for _ in range(500):
        student, teacher = output({"tap": (2,)}, 1), output({"tap": (2,)}, 1)
        student.taps["tap"] = torch.randn(8 * B, 2) + offset
        teacher.taps["tap"] = torch.randn(8 * B, 2) + target
        optimizer.zero_grad()
        total(loss, student, teacher).backward()
        optimizer.step()
    assert (offset - target).norm() < 0.5 * target.norm()
