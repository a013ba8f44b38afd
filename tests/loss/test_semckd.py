"""Semantic calibration against its formula, sample by sample and place by place."""

import math

import pytest
import torch
import torch.nn.functional as F
from given import AT, B, batch, bound, output, total

from kdrun.core.errors import UserError
from kdrun.core.types import Output

STUDENT = {"tap[0]": (3, 4, 4), "tap[1]": (5, 2, 2)}
TEACHER = {"tap[0]": (4, 4, 4), "tap[1]": (2, 6, 6), "tap[2]": (6, 1, 1)}


def plain_layer(layer, rows):
    weight, bias = layer.weight.double().tolist(), layer.bias.double().tolist()
    both = list(zip(weight, bias, strict=True))
    return [
        [sum(w * x for w, x in zip(line, row, strict=True)) + b for line, b in both] for row in rows
    ]


def plain_vectors(network, maps, samples):
    rows = maps.double().flatten(1).tolist()
    likenesses = []
    for i, row in enumerate(rows):
        first = i // samples * samples
        group = rows[first : first + samples]
        found = [sum(a * b for a, b in zip(row, other, strict=True)) for other in group]
        likenesses.append(found + [0.0] * (samples - len(found)))
    inner = [[max(0.0, x) for x in row] for row in plain_layer(network[0], likenesses)]
    vectors = plain_layer(network[2], inner)
    return [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in vectors]


def plain(loss, student, teacher, samples):
    student_maps, teacher_maps = list(student.taps.values()), list(teacher.taps.values())
    queries = [
        plain_vectors(n, m, samples) for n, m in zip(loss.queries, student_maps, strict=True)
    ]
    keys = [plain_vectors(n, m, samples) for n, m in zip(loss.keys, teacher_maps, strict=True)]
    adapters = iter(loss.double().adapters)
    value = 0.0
    for i, source in enumerate(student_maps):
        targets = []
        for target in teacher_maps:
            side = min(source.shape[2], target.shape[2])
            small = F.adaptive_avg_pool2d(source.double(), side)
            goal = F.adaptive_avg_pool2d(target.double(), side).flatten(1).tolist()
            targets.append((next(adapters)(small).flatten(1).tolist(), goal))
        for b in range(B):
            energy = [sum(x * y for x, y in zip(queries[i][b], k[b], strict=True)) for k in keys]
            total_weight = sum(math.exp(e) for e in energy)
            for j, (found, goal) in enumerate(targets):
                squares = [(x - y) ** 2 for x, y in zip(found[b], goal[b], strict=True)]
                value += math.exp(energy[j]) / total_weight * sum(squares) / len(squares)
    return value / (B * len(student_maps))


@pytest.mark.parametrize("samples", [8, 12, 3])  # the batch, more than it, and groups of 3, 3, 2
def test_semckd_equals_the_formula(samples):
    loss = bound("semckd", STUDENT, TEACHER, samples=samples, factor=2)
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    found = total(loss, student, teacher).item()
    assert found == pytest.approx(plain(loss, student, teacher, samples), rel=1e-5)


def test_semckd_at_its_defaults_has_the_published_widths():
    loss = bound("semckd", STUDENT, TEACHER)
    assert [tuple(layer.weight.shape) for layer in (loss.keys[0][0], loss.keys[0][2])] == [
        (32, 64),
        (16, 32),
    ]
    assert loss.adapters[2][3].weight.shape == (12, 12, 3, 3)
    assert len(loss.adapters) == 6


def test_the_gradient_of_semckd_is_its_slope():
    small = {"tap[0]": (2, 2, 2), "tap[1]": (3, 1, 1)}
    loss = bound("semckd", small, small, samples=8, factor=2).double()
    teacher = output(small, 2, torch.float64)
    inputs = [
        torch.randn(B, *shape, dtype=torch.float64, requires_grad=True) for shape in small.values()
    ]

    def value(*taps):
        return total(loss, Output(teacher.logits, dict(zip(small, taps, strict=True))), teacher)

    torch.autograd.gradcheck(value, inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_semckd_is_finite_and_trains_the_student_and_all_its_parts(dtype):
    loss = bound("semckd", STUDENT, TEACHER)
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


def test_semckd_takes_tokens_and_vectors():
    tokens = {"tap[0]": (17, 6), "tap[1]": (7,)}
    loss = bound("semckd", tokens, TEACHER)
    assert total(loss, output(tokens, 1), output(TEACHER, 2)).isfinite()


def test_semckd_of_one_sample_is_zero():
    loss = bound("semckd", STUDENT, TEACHER)
    student, teacher = (
        Output(torch.zeros(1, 3), {tap: torch.ones(1, *shape) for tap, shape in taps.items()})
        for taps in (STUDENT, TEACHER)
    )
    assert total(loss, student, teacher).item() == 0
    assert loss.min_batch == 2


def test_semckd_refuses_more_adapters_than_anyone_can_hold():
    transformer = {f"tap[{number}]": (197, 768) for number in range(12)}
    with pytest.raises(UserError, match=r"60 adapters.* 1\.4 billion weights"):
        bound("semckd", {f"tap[{number}]": (64, 8, 8) for number in range(5)}, transformer)


def test_semckd_says_which_places_it_joins():
    loss = bound("semckd", STUDENT, TEACHER)
    assert loss.notes() == ["each of tap[0], tap[1] from each of tap[0], tap[1], tap[2]"]
    assert list(loss(output(STUDENT, 1), output(TEACHER, 2), batch(), AT)) == ["semckd"]
