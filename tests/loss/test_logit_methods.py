"""Every method on logits against its formula, written out class by class in float64."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from given import AT, INFO, B, C, bare, batch, node, output, shapes, total
from plain import Rows, kl, mean, others, pearson, rows, scaled, softmax

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, Output
from kdrun.loss.base import Loss
from kdrun.loss.ctkd import CTKD
from kdrun.loss.functional import Logits

T = 3.0
Labels = list[int]


def bound(name: str, **changes) -> Loss:
    loss = bare(name, **{"temperature": T, **changes})
    loss.bind(shapes({}), shapes({}), INFO)
    return loss


def dkd_rows(student: Rows, teacher: Rows, y: Labels, alpha: float, beta: float) -> float:
    found = []
    for s, t, label in zip(student, teacher, y, strict=True):
        p, q = softmax(t, T), softmax(s, T)
        pair = kl([p[label], 1 - p[label]], [q[label], 1 - q[label]])
        rest = kl(softmax(others(t, label), T), softmax(others(s, label), T))
        found.append(T**2 * (alpha * pair + beta * rest))
    return mean(found)


def dkd(student: Rows, teacher: Rows, y: Labels) -> float:
    return dkd_rows(student, teacher, y, alpha=1.0, beta=8.0)


def nkd(student: Rows, teacher: Rows, y: Labels) -> float:
    found = []
    for s, t, label in zip(student, teacher, y, strict=True):
        sure = softmax(t)[label] * math.log(softmax(s)[label])
        n_t, n_s = softmax(others(t, label), T), softmax(others(s, label), T)
        rest = sum(a * math.log(b) for a, b in zip(n_t, n_s, strict=True))
        found.append(-sure - 1.5 * T**2 * rest)
    return mean(found)


def dist(student: Rows, teacher: Rows, y: Labels) -> float:
    s, t = [softmax(row, T) for row in student], [softmax(row, T) for row in teacher]
    inter = mean([1 - pearson(a, b) for a, b in zip(s, t, strict=True)])
    columns = [([row[c] for row in s], [row[c] for row in t]) for c in range(C)]
    intra = mean([1 - pearson(a, b) for a, b in columns])
    return T**2 * (2 * inter + 0.5 * intra)


def lskd(student: Rows, teacher: Rows, y: Labels) -> float:
    pairs = zip(student, teacher, strict=True)
    return T**2 * mean([kl(softmax(scaled(t), T), softmax(scaled(s), T)) for s, t in pairs])


def lskd_on_dkd(student: Rows, teacher: Rows, y: Labels) -> float:
    return dkd(list(map(scaled, student)), list(map(scaled, teacher)), y)


def cross(s: list[float], t: list[float], temperature: float) -> float:
    p, q = softmax(t, temperature), softmax(s, temperature)
    return -sum(a * math.log(b) for a, b in zip(p, q, strict=True))


def wsld(student: Rows, teacher: Rows, y: Labels) -> float:
    found = []
    for s, t, label in zip(student, teacher, y, strict=True):
        ratio = math.log(softmax(s)[label]) / math.log(softmax(t)[label])
        found.append((1 - math.exp(-ratio)) * cross(s, t, T))
    return T**2 * mean(found)


def focal(student: Rows, teacher: Rows, y: Labels) -> float:
    triples = zip(student, teacher, y, strict=True)
    return T**2 * mean([(1 - softmax(s)[label]) ** 2 * cross(s, t, T) for s, t, label in triples])


def reverse_kl(student: Rows, teacher: Rows, y: Labels) -> float:
    pairs = zip(student, teacher, strict=True)
    return T**2 * mean([kl(softmax(s, T), softmax(t, T)) for s, t in pairs])


def forward_kl(student: Rows, teacher: Rows, y: Labels) -> float:
    return reverse_kl(teacher, student, y)


def jsd(student: Rows, teacher: Rows, y: Labels) -> float:
    found = []
    for s, t in zip(student, teacher, strict=True):
        q, p = softmax(s, T), softmax(t, T)
        m = [0.3 * a + 0.7 * b for a, b in zip(p, q, strict=True)]
        found.append(0.3 * kl(p, m) + 0.7 * kl(q, m))
    return T**2 * mean(found)


def label_smoothing(student: Rows, teacher: Rows, y: Labels) -> float:
    found = []
    for s, label in zip(student, y, strict=True):
        wanted = [0.1 / C + 0.9 * (c == label) for c in range(C)]
        found.append(-sum(w * math.log(q) for w, q in zip(wanted, softmax(s), strict=True)))
    return mean(found)


def tf_kd(student: Rows, teacher: Rows, y: Labels) -> float:
    found = []
    for s, label in zip(student, y, strict=True):
        by_hand = [0.99 if c == label else 0.01 / (C - 1) for c in range(C)]
        softened = [p ** (1 / T) for p in by_hand]
        softened = [p / sum(softened) for p in softened]
        found.append(T**2 * kl(softened, softmax(s, T)))
    return mean(found)


def gram_distance(a: Rows, b: Rows) -> float:
    def gram(m: Rows) -> Rows:
        return [[sum(x * y for x, y in zip(r, s, strict=True)) for s in m] for r in m]

    pairs = zip(gram(a), gram(b), strict=True)
    return sum((x - y) ** 2 for r, s in pairs for x, y in zip(r, s, strict=True))


def mlld(student: Rows, teacher: Rows, y: Labels) -> float:
    found = 0.0
    for heat in (2.0, 5.0):
        s, t = [softmax(row, heat) for row in student], [softmax(row, heat) for row in teacher]
        found += heat**2 * mean([kl(b, a) for a, b in zip(s, t, strict=True)])
        found += gram_distance(s, t) / B
        columns = [[[row[c] for row in m] for c in range(C)] for m in (s, t)]
        found += gram_distance(*columns) / C
    return found


def ctkd(student: Rows, teacher: Rows, y: Labels) -> float:
    heat = 1 + 20 / (1 + math.exp(-1))
    pairs = zip(student, teacher, strict=True)
    return heat**2 * mean([kl(softmax(t, heat), softmax(s, heat)) for s, t in pairs])


Case = tuple[str, dict, Callable[[Rows, Rows, Labels], float]]
CASES: list[Case] = [
    ("dkd", {}, dkd),
    ("nkd", {}, nkd),
    ("dist", {"beta": 2.0, "gamma": 0.5}, dist),
    ("lskd", {}, lskd),
    ("lskd", {"base": "dkd"}, lskd_on_dkd),
    ("wsld", {}, wsld),
    ("focal", {}, focal),
    ("mlld", {"temperatures": [2.0, 5.0]}, mlld),
    ("reverse_kl", {}, reverse_kl),
    ("jsd", {"beta": 0.3}, jsd),
    ("jsd", {"beta": 0.0}, forward_kl),
    ("jsd", {"beta": 1.0}, reverse_kl),
    ("label_smoothing", {}, label_smoothing),
    ("tf_kd", {}, tf_kd),
    ("tf_kd", {"source": "self"}, forward_kl),
    ("ctkd", {}, ctkd),
]
METHODS = [(name, changes) for name, changes, _ in CASES]
FREE = [("label_smoothing", {}), ("tf_kd", {})]
each = pytest.mark.parametrize(("name", "changes"), METHODS)


@pytest.mark.parametrize(("name", "changes", "formula"), CASES)
def test_a_method_equals_its_formula(name, changes, formula):
    student, teacher, given = output({}, 1), output({}, 2), batch()
    expected = formula(rows(student.logits), rows(teacher.logits), given.targets.tolist())
    assert total(bound(name, **changes), student, teacher).item() == pytest.approx(
        expected, rel=1e-5
    )


@each
def test_its_gradient_is_that_of_its_value(name, changes):
    loss = bound(name, **changes).double()
    teacher, given = output({}, 2, torch.float64), batch()
    if name in ("wsld", "focal"):  # whose weights are constants: held where the student stands
        logits = Logits(output({}, 1, torch.float64).logits, teacher.logits)
        fixed = loss.sample_weights(logits, given.targets)
        loss.sample_weights = lambda *_: fixed
    start = output({}, 1, torch.float64).logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: total(loss, Output(z), teacher, given), (start,))


@pytest.mark.parametrize(
    ("name", "changes"),
    [(n, c) for n, c in METHODS if (n, c) not in FREE and n not in ("nkd", "wsld", "focal")],
)
def test_it_is_zero_when_the_student_is_the_teacher(name, changes):
    same = output({}, 3)
    assert total(bound(name, **changes), same, same).item() == pytest.approx(0, abs=2e-5)


@pytest.mark.parametrize("name", ["nkd", "wsld", "focal"])
def test_cross_entropies_are_least_where_the_student_is_the_teacher(name):
    loss, same, given = bound(name), output({}, 3), batch()
    if name != "nkd":
        loss.sample_weights = lambda *_: torch.ones(B)
    student = same.logits.clone().requires_grad_()
    total(loss, Output(student), same, given).backward()
    if name == "nkd":  # its first part pulls the label up; the others are at rest
        student.grad.scatter_(1, given.targets[:, None], 0)
        probabilities, p = (
            same.logits.softmax(1),
            same.logits.softmax(1).gather(1, given.targets[:, None]),
        )
        expected = (p * probabilities / B).scatter(1, given.targets[:, None], 0)
        torch.testing.assert_close(student.grad, expected)
    else:
        torch.testing.assert_close(student.grad, torch.zeros(B, C), atol=1e-6, rtol=0)


@each
def test_a_student_that_says_nothing_yet_gets_a_gradient_of_usual_size(name, changes):
    student, teacher = Output(torch.zeros(B, C, requires_grad=True)), output({}, 2)
    total(bound(name, **changes), student, teacher).backward()
    assert student.logits.grad.isfinite().all()
    assert student.logits.grad.norm() < 1e3


def test_standardized_logits_ignore_scale_and_shift():
    loss, student, teacher = bound("lskd"), output({}, 1), output({}, 2)
    before = total(loss, student, teacher)
    moved = Output(5 * student.logits + torch.arange(B)[:, None]), Output(0.1 * teacher.logits - 2)
    torch.testing.assert_close(total(loss, *moved), before, rtol=1e-4, atol=1e-6)


def test_dist_ignores_what_scales_a_samples_probabilities():
    student = output({}, 1)
    flatter = student.logits.double().softmax(1) * 0.5 + 0.5 / C
    loss = bound("dist", gamma=0.0, temperature=1.0)
    assert total(loss, student, Output(flatter.log())).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(("name", "changes"), FREE)
def test_methods_without_a_teacher_run_without_one(name, changes):
    loss = bound(name, **changes)
    assert not loss.uses_teacher
    terms = loss(output({}, 1), None, batch(), AT)
    assert torch.isfinite(torch.stack(list(terms.values()))).all()
    assert bare(name, kd=0.5).uses_teacher


@pytest.mark.parametrize("name", ["dkd", "nkd"])
def test_two_classes_are_refused_where_only_one_is_left_beside_the_target(name):
    loss, two = bare(name), replace(INFO, classes=("no", "yes"))
    with pytest.raises(UserError) as error:
        loss.bind(shapes({}), shapes({}), two)
    assert error.value.lines[0].endswith("of 2 classes only one is left.")
    assert "loss=kd" in error.value.lines[1]


@pytest.mark.parametrize("base", ["kd", "dkd"])
def test_two_classes_are_refused_where_they_are_always_standardized_to_the_same(base):
    loss, two = bare("lskd", base=base), replace(INFO, classes=("no", "yes"))
    with pytest.raises(UserError) as error:
        loss.bind(shapes({}), shapes({}), two)
    assert error.value.lines[0].endswith("of 2 classes are then always -1 and 1.")
    assert "loss=kd" in error.value.lines[1]


def test_the_learned_temperature_goes_up_the_loss_by_a_growing_share():
    loss = bound("ctkd")
    assert isinstance(loss, CTKD)
    slopes = []
    for epoch in (0, 5, 10, 100):
        loss.place.grad = None
        answers = output({}, 1), output({}, 2)
        term = loss(*answers, batch(), replace(AT, epoch=epoch))["ctkd"]
        term.backward()
        slopes.append(loss.place.grad.item())
    heat = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    temperature = 1 + 20 * heat.sigmoid()
    student, teacher = (answer.logits.double() / temperature for answer in answers)
    apart = (teacher.softmax(1) * (teacher.log_softmax(1) - student.log_softmax(1))).sum(1).mean()
    (apart * temperature**2).backward()
    assert slopes == pytest.approx([s * -heat.grad.item() for s in (0, 0.5, 1, 1)], rel=1e-4)


@pytest.mark.parametrize("name", ["dist", "mlld"])
def test_relations_of_one_sample_are_finite(name):
    student, teacher, given = output({}, 1), output({}, 2), batch()
    alone = Batch(given.inputs[:1], given.targets[:1], given.index[:1], given.view[:1])
    value = total(bound(name), Output(student.logits[:1]), Output(teacher.logits[:1]), alone)
    assert torch.isfinite(value)


def test_the_papers_settings_are_the_defaults():
    assert node("dkd")["weight"] == {"value": 1.0, "warmup": 20}
    assert (node("dkd")["alpha"], node("dkd")["beta"]) == (1.0, 8.0)
    assert (node("wsld")["weight"], node("wsld")["temperature"]) == (2.5, 2.0)
    values = [node("lskd")[key] for key in ("weight", "ce", "temperature")]
    assert values == [9.0, 0.1, 2.0]
    assert (node("dist")["weight"], node("dist")["temperature"]) == (2.0, 4.0)
    values = [node("cat_kd")[key] for key in ("weight", "resolution", "normalize")]
    assert values == [15.0, 2, False]
