"""Parameter distillation against its formula, weight by weight."""

import math

import pytest
import torch
from given import AT, INFO, bare, batch, output
from torch import nn

from kdrun.core.errors import UserError
from kdrun.core.types import TapShapes
from kdrun.loss.base import Loss


def network(width: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, width, kernel), nn.BatchNorm2d(width), nn.Linear(width, 4))


def bind_parameters(student: nn.Module, teacher: nn.Module, **changes) -> Loss:
    loss = bare("parameters", **changes)
    loss.bind(TapShapes({}, student, {}), TapShapes({}, teacher, {}), INFO)
    return loss


def value(loss: Loss) -> torch.Tensor:
    return loss(output({}, 1), output({}, 2), batch(), AT)["parameters"]


def plain_kl(student: list[float], wanted: list[float]) -> float:
    p, q = ([math.exp(value) for value in row] for row in (wanted, student))
    p, q = ([value / sum(row) for value in row] for row in (p, q))
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def test_equal_shapes_are_compared_as_they_are():
    student, teacher = network(5), network(5)
    difference = size = 0.0
    for mine, its in zip(student.parameters(), teacher.parameters(), strict=True):
        for a, b in zip(mine.flatten().tolist(), its.flatten().tolist(), strict=True):
            difference += (a - b) ** 2
            size += b**2
    assert value(bind_parameters(student, teacher)).item() == pytest.approx(
        difference / size, rel=1e-5
    )


def test_kl_compares_the_shares_of_each_outputs_weights():
    student, teacher = network(5), network(5)
    expected = []
    for mine, its in zip(student.parameters(), teacher.parameters(), strict=True):
        rows = [w.double().reshape(len(w) if w.dim() > 1 else 1, -1).tolist() for w in (mine, its)]
        divergences = [plain_kl(a, b) for a, b in zip(*rows, strict=True)]
        expected.append(sum(divergences) / len(divergences))
    found = value(bind_parameters(student, teacher, distance="kl")).item()
    assert found == pytest.approx(sum(expected) / len(expected), rel=1e-4)


def test_other_shapes_are_compared_through_a_projection():
    student, teacher = network(4), network(6)
    loss = bind_parameters(student, teacher)
    rows, columns = loss.rows["of 0/weight"].double(), loss.columns["of 0/weight"].double()
    mine, its = student[0].weight.double(), teacher[0].weight.double()
    squares = []
    for a in range(4):
        for b in range(3):
            for y in range(3):
                for x in range(3):
                    wanted = sum(
                        rows[a, i] * its[i, j, y, x] * columns[j, b]
                        for i in range(6)
                        for j in range(3)
                    )
                    squares.append((mine[a, b, y, x] - wanted).item() ** 2)
    (pair,) = [pair for pair in loss.weight_pairs if pair.teacher == "of 0/weight"]
    assert pair.is_projected
    first = next(loss._tensors())
    assert (first[0] - first[1]).square().mean().item() == pytest.approx(
        sum(squares) / len(squares), rel=1e-5
    )
    value(loss).backward()
    assert loss.rows["of 0/weight"].grad is not None


@pytest.mark.parametrize("distance", ["squared", "kl"])
def test_nothing_is_to_learn_from_equal_weights(distance):
    student, teacher = network(5), network(5)
    teacher.load_state_dict(student.state_dict())
    loss = bind_parameters(student, teacher, distance=distance, until=1e-6)
    assert value(loss).item() == pytest.approx(0, abs=1e-7)
    assert loss.stop_reason() == "the weights differ from the teacher's by 0, under 1e-06"


def test_training_ends_under_the_threshold_and_not_before():
    student, teacher = network(5), network(5)
    teacher.load_state_dict(student.state_dict())
    with torch.no_grad():
        for weight in student.parameters():
            weight.mul_(1.2)
    assert bind_parameters(student, teacher, until=0.19).stop_reason() == ""
    assert "by 0.2, under 0.21" in bind_parameters(student, teacher, until=0.21).stop_reason()
    assert bind_parameters(student, teacher).stop_reason() == ""


def test_the_gradient_is_that_of_the_formula():
    student, teacher = network(2).double(), network(2).double()
    for distance in ("squared", "kl"):
        loss = bind_parameters(student, teacher, distance=distance)
        torch.autograd.gradcheck(lambda *_, loss=loss: value(loss), tuple(student.parameters()))


def test_the_teacher_is_neither_trained_nor_saved():
    student, teacher = network(5), network(5)
    loss = bind_parameters(student, teacher)
    value(loss).backward()
    assert all(weight.grad is None for weight in teacher.parameters())
    assert loss.state_dict() == {}
    assert list(loss.parameters()) == []


def test_pairs_are_named_or_refused():
    student, teacher = network(4), network(6)
    loss = bind_parameters(student, teacher, pairs=[["0.weight", "0.weight"]])
    assert loss.notes()[0].startswith("0 weights are pulled to the teacher's, 1 through")
    with pytest.raises(UserError, match=r"the student has no weight '0\.wieght'"):
        bind_parameters(student, teacher, pairs=[["0.wieght", "0.weight"]])
    for project, hint in ((True, "leave this pair out"), (False, "loss.project=true compares")):
        with pytest.raises(UserError, match=f"can't be compared.*\n.*{hint}"):
            bind_parameters(
                student, network(6, kernel=5), project=project, pairs=[["0.weight", "0.weight"]]
            )
    with pytest.raises(UserError, match="no weights of student and teacher"):
        bind_parameters(nn.Linear(2, 3), nn.Sequential(nn.Linear(2, 3)))


def test_what_cannot_be_projected_is_free():
    student, teacher = network(4), network(6, kernel=5)
    free = bind_parameters(student, teacher).free
    assert free == 4  # the kernel of another size, and three vectors of another length


def test_half_precision_weights_give_a_finite_term():
    student, teacher = network(5).half(), network(5).half()
    assert torch.isfinite(value(bind_parameters(student, teacher, distance="kl")))
