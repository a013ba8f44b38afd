"""Contrastive distillation against its formula, and what its memory keeps."""

import math
from dataclasses import replace

import pytest
import torch
from given import AT, INFO, B, bare, batch, bound, output, shapes, total

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, Output

STUDENT, TEACHER = {"tap": (6,)}, {"tap": (9,)}
N, K, D = INFO.train_size, 20, 4


def small(**changes):
    return bound("crd", STUDENT, TEACHER, **{"dim": D, "negatives": K, **changes})


def plain_unit(row):
    norm = math.sqrt(sum(value**2 for value in row))
    return [value / norm for value in row]


def plain_vectors(layer, rows):
    found = []
    for row in rows.double().tolist():
        lines = zip(layer.weight.double().tolist(), layer.bias.double().tolist(), strict=True)
        found.append([sum(w * x for w, x in zip(line, row, strict=True)) + b for line, b in lines])
    return [plain_unit(row) for row in found]


def plain_side(vectors, memory, drawn, scale=None, tau=0.07):
    memory = memory.double().tolist()
    likes = [
        [math.exp(sum(a * b for a, b in zip(vector, memory[m], strict=True)) / tau) for m in row]
        for vector, row in zip(vectors, drawn.tolist(), strict=True)
    ]
    scale = scale or N * sum(map(sum, likes)) / (B * (K + 1))
    c, value = K / N, 0.0
    for row in likes:
        positive, *others = [like / scale for like in row]
        value -= math.log(positive / (positive + c + 1e-7))
        value -= sum(math.log(c / (other + c + 1e-7)) for other in others)
    return value / B, scale


def test_crd_equals_the_formula_in_the_first_step_and_in_the_next(monkeypatch):
    loss, student, teacher = small(), output(STUDENT, 1), output(TEACHER, 2)
    drawn = torch.randint(N, (B, K + 1))
    monkeypatch.setattr(loss, "_draw", lambda given: drawn)
    student_vectors = plain_vectors(loss.student_map, student.taps["tap"])
    teacher_vectors = plain_vectors(loss.teacher_map, teacher.taps["tap"])
    scales = (None, None)
    for _ in range(2):
        first, one = plain_side(student_vectors, loss.teachers, drawn, scales[0])
        second, two = plain_side(teacher_vectors, loss.students, drawn, scales[1])
        scales = (one, two)
        value = total(loss, student, teacher).item()
        assert value == pytest.approx(first + second, rel=1e-5)
        assert loss.log_scales.exp().tolist() == pytest.approx(scales, rel=1e-5)


def test_the_memory_moves_to_new_vectors_by_momentum():
    loss, student, teacher = small(momentum=0.25), output(STUDENT, 1), output(TEACHER, 2)
    before = loss.students.clone(), loss.teachers.clone()
    given = replace(batch(), index=torch.arange(B) * 3 + 1)
    total(loss, student, teacher, given)
    vectors = (
        plain_vectors(loss.student_map, student.taps["tap"]),
        plain_vectors(loss.teacher_map, teacher.taps["tap"]),
    )
    for old, new, bank in zip(before, vectors, (loss.students, loss.teachers), strict=True):
        for row in range(B):
            was = old[3 * row + 1].double().tolist()
            mixed = [0.25 * a + 0.75 * b for a, b in zip(was, new[row], strict=True)]
            assert bank[3 * row + 1].tolist() == pytest.approx(plain_unit(mixed), rel=1e-5)
        untouched = torch.ones(N, dtype=torch.bool)
        untouched[given.index] = False
        assert torch.equal(bank[untouched], old[untouched])


def labeled(loss, classes=5):
    """All labels known: i mod classes."""
    loss.labels.copy_(torch.arange(N) % classes)
    index = torch.arange(B) * 7
    return Batch(torch.zeros(B, 1), index % classes, index, index * 0)


@pytest.mark.parametrize("mode", ["exact", "relax"])
def test_negatives_are_drawn_evenly_from_other_classes(mode):
    loss = small(mode=mode, negatives=20000)
    given = labeled(loss)
    drawn = loss._draw(given)
    for row in range(B):
        counts = torch.bincount(drawn[row, 1:], minlength=N)
        same_class = torch.arange(N) % 5 == given.targets[row]
        assert counts[same_class].sum() == 0
        allowed = counts[~same_class].double()
        mean = 20000 / len(allowed)
        spread = ((allowed - mean) ** 2 / mean).sum() / (len(allowed) - 1)
        assert 0.75 < spread < 1.25  # chi squared a degree of freedom, of 409


def test_the_positive_is_the_sample_or_any_of_its_class():
    exact, relax = small(), small(mode="relax")
    given = labeled(exact)
    assert torch.equal(exact._draw(given)[:, 0], given.index)
    labeled(relax)
    drawn = torch.stack([relax._draw(given)[:, 0] for _ in range(600)])
    assert (drawn % 5 == given.targets).all()
    assert all(len(set(column.tolist())) > 90 for column in drawn.T)  # of 102 or 103


def test_samples_that_no_batch_has_brought_count_as_others():
    loss, given = small(negatives=5000), batch()
    drawn = loss._draw(given)
    assert torch.equal(loss.labels[:B], given.targets)
    for row in range(B):
        known = set(given.index[given.targets == given.targets[row]].tolist())
        assert not known & set(drawn[row, 1:].tolist())
        assert len(set(drawn[row, 1:].tolist())) > 450


def test_a_single_class_still_gives_a_finite_value():
    loss = small()
    loss.labels.zero_()
    given = Batch(torch.zeros(B, 1), torch.zeros(B).long(), torch.arange(B), torch.arange(B))
    assert total(loss, output(STUDENT, 1), output(TEACHER, 2), given).isfinite()


def test_the_gradient_of_crd_is_its_slope():
    loss, teacher = small().double(), output(TEACHER, 2, torch.float64)
    total(loss, output(STUDENT, 1, torch.float64), teacher)
    loss.eval()  # the memory stays

    def value(tap):
        torch.manual_seed(3)
        return total(loss, Output(teacher.logits, {"tap": tap}), teacher)

    inputs = torch.randn(B, 6, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(value, inputs)


def test_a_saved_loss_goes_on_exactly():
    student, teacher = output(STUDENT, 1), output(TEACHER, 2)
    uninterrupted, resumed = small(), small()
    total(uninterrupted, student, teacher)
    assert {"students", "teachers", "log_scales", "labels"} <= set(uninterrupted.state_dict())
    assert uninterrupted.students.dtype == uninterrupted.teachers.dtype == torch.float32
    resumed.load_state_dict(
        {name: value.clone() for name, value in uninterrupted.state_dict().items()}
    )
    values = []
    for loss in (uninterrupted, resumed):
        torch.manual_seed(4)
        values += [[total(loss, student, teacher).item() for _ in range(2)]]
    assert values[0] == values[1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_crd_is_finite_and_trains_the_student_and_both_maps(dtype):
    loss = small(tau=0.01)
    student, teacher = output(STUDENT, 1, dtype), output(TEACHER, 2, dtype)
    for answer in (student, teacher):
        answer.taps["tap"].mul_(1e4).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = total(loss, student, teacher)
    value.backward()
    assert value.isfinite()
    assert student.taps["tap"].grad.isfinite().all()
    assert student.taps["tap"].grad.abs().max() > 0
    assert teacher.taps["tap"].grad is None
    assert all(parameter.grad is not None for parameter in loss.parameters())


def test_crd_refuses_several_pairs_and_tells_of_its_memory():
    several = {"tap[0]": (6,), "tap[1]": (6,)}
    with pytest.raises(UserError, match="compares one layer"):
        bare("crd").bind(shapes(several), shapes(several), INFO)
    assert "memory of 2 x 512 x 128 floats (0.5 MiB)" in bound("crd", STUDENT, TEACHER).notes()[1]


def test_crd_names_its_term():
    assert list(small()(output(STUDENT, 1), output(TEACHER, 2), batch(), AT)) == ["crd"]
