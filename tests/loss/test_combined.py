"""Several losses at once, each with its own weight."""

import pytest
import torch
from given import AT, INFO, bare, batch, node, output, shapes, total

from kdrun.core.types import MAIN, Phase, Progress
from kdrun.loss.attention import Attention
from kdrun.loss.combined import Combined
from kdrun.loss.functional import label_loss
from kdrun.loss.logits import soft_loss
from kdrun.loss.table import build_loss

STUDENT = {"tap[0]": (4, 8, 8), "tap[1]": (6, 4, 4)}
TEACHER = {"tap[0]": (16, 8, 8), "tap[1]": (32, 4, 4)}


def combined(**shares) -> Combined:
    terms = {
        "attention": node("attention", weight=3.0, ce=5.0),
        "squares": node("attention", weight=2.0, power=4.0),
        "kd": node("kd", alpha=0.25, temperature=2.0),
    }
    keys = {"weight": 1.0, "ce": 0.5, "kd": 0.0, "temperature": 4.0, **shares}
    return build_loss({"name": "combined", "terms": terms, **keys})


def given(taps, parts=("attention", "squares")):
    return {f"{part}/{name}": shape for part in parts for name, shape in taps.items()}


@pytest.fixture
def both():
    student, teacher = output(given(STUDENT), 1), output(given(TEACHER), 2)
    for name in STUDENT:  # one network's tap is the same for all parts
        for answer in (student, teacher):
            answer.taps[f"squares/{name}"] = answer.taps[f"attention/{name}"]
    return student, teacher


def attention_taps(taps):
    return {name.split("/")[1]: value for name, value in taps.items() if name.startswith("att")}


def test_each_part_counts_by_its_weight_and_the_labels_once(both):
    loss = combined()
    loss.bind(shapes(given(STUDENT)), shapes(given(TEACHER)), INFO)
    student, teacher = both
    found = loss(student, teacher, batch(), AT)
    assert set(found) == {
        "ce",
        "attention",
        "squares/attention",
        "kd",
    }
    student_output = type(student)(student.logits, attention_taps(student.taps))
    teacher_output = type(teacher)(teacher.logits, attention_taps(teacher.taps))
    for name, key, weight, power in (
        ("attention", "attention", 3.0, 2.0),
        ("squares", "squares/attention", 2.0, 4.0),
    ):
        alone = bare("attention", power=power)
        assert isinstance(alone, Attention), name
        alone.bind(shapes(STUDENT), shapes(TEACHER), INFO)
        expected = weight * alone(student_output, teacher_output, batch(), AT)["attention"]
        torch.testing.assert_close(found[key], expected)
    torch.testing.assert_close(found["ce"], 0.5 * label_loss(student.logits, batch()))
    torch.testing.assert_close(
        found["kd"], 0.25 * soft_loss(student.logits, teacher.logits, temperature=2.0)
    )


def test_the_sum_of_the_terms_can_be_weighted_over_time(both):
    loss = combined(weight={"value": 1.0, "warmup": 20})
    loss.bind(shapes(given(STUDENT)), shapes(given(TEACHER)), INFO)
    assert set(loss(*both, batch(), AT)) == {"ce"}
    half = Progress("main", 10, 240, 1000, 24000)
    full = Progress("main", 20, 240, 2000, 24000)
    terms = [loss(*both, batch(), at)["attention"] for at in (half, full)]
    torch.testing.assert_close(2 * terms[0], terms[1])


def test_parts_ask_for_taps_under_their_own_names():
    request = combined().taps()
    assert request.student == {"attention/tap": "stages[*]", "squares/tap": "stages[*]"}
    assert request.teacher == request.student


def test_first_phases_come_one_after_the_other_with_their_part_alone(monkeypatch, both):
    loss = combined()
    loss.bind(shapes(given(STUDENT)), shapes(given(TEACHER)), INFO)
    first = (Phase("warm", epochs=2, trains=("loss.adapter.*", "student.*")), MAIN)
    monkeypatch.setattr(loss.parts["of squares"], "phases", lambda: first)
    phase, main = loss.phases()
    assert phase == Phase("squares/warm", 2, ("loss.parts.of squares.adapter.*", "student.*"))
    assert main.name == "main"
    assert main.trains == (
        "student.*",
        "loss.parts.of attention.*",
        "loss.parts.of squares.*",
        "loss.parts.of kd.*",
    )
    phases = []
    original = loss.parts["of squares"].forward
    monkeypatch.setattr(
        loss.parts["of squares"],
        "forward",
        lambda *words: (phases.append(words[3].phase), original(*words))[1],
    )
    loss(*both, batch(), Progress("squares/warm", 0, 2, 0, 10))
    assert phases == ["warm"]


def test_it_needs_a_teacher_only_if_a_part_does():
    labels = build_loss(
        {
            "name": "combined",
            "terms": {"ce": {"name": "ce"}},
            "weight": 1.0,
            "ce": 1.0,
            "kd": 0.0,
            "temperature": 4.0,
        }
    )
    assert not labels.uses_teacher
    assert combined().uses_teacher


@pytest.mark.parametrize("key", ["parameters", "items", "forward", "kd"])
def test_any_name_may_be_a_terms_key(key):
    terms = {key: node("kd")} if key == "kd" else {key: node("mse")}
    loss = build_loss(node("combined", terms=terms))
    loss.bind(shapes({}), shapes({}), INFO)
    assert torch.isfinite(total(loss, output({}, 1), output({}, 2)))


def test_a_sum_of_terms_that_are_all_off_has_a_gradient():
    off = {"reverse_kl": node("reverse_kl", weight={"value": 1.0, "warmup": 20})}
    for terms in (off, {"ce": node("ce")}, {"mse": node("reverse_kl", weight=0.0)}):
        loss = build_loss(node("combined", terms=terms, ce=0.0))
        loss.bind(shapes({}), shapes({}), INFO)
        student = output({}, 1)
        student.logits.requires_grad_()
        value = total(loss, student, output({}, 2))
        value.backward()
        assert value.item() == 0
        assert student.logits.grad is not None


def test_soft_targets_of_methods_count_once():
    terms = {"jsd": node("jsd", kd=1.0), "reverse_kl": node("reverse_kl", kd=1.0)}
    loss = build_loss(node("combined", terms=terms, kd=0.5))
    loss.bind(shapes({}), shapes({}), INFO)
    found = loss(output({}, 1), output({}, 2), batch(), AT)
    assert list(found) == ["ce", "kd", "jsd", "reverse_kl"]
    assert loss.notes() == ["the soft targets of jsd, reverse_kl are left out: see loss.kd"]


def test_the_sums_own_soft_targets_stay_beside_a_part_called_kd():
    loss = build_loss(node("combined", terms={"kd": node("kd")}, kd=1.0))
    loss.bind(shapes({}), shapes({}), INFO)
    found = loss(output({}, 1), output({}, 2), batch(), AT)
    assert list(found) == ["ce", "kd", "kd/kd"]


def test_a_part_without_a_teacher_is_told_beside_the_labels():
    terms = {"label_smoothing": node("label_smoothing")}
    loss = build_loss(node("combined", terms=terms))
    assert loss.notes() == ["label_smoothing needs no teacher, and counts beside loss.ce"]
    assert build_loss(node("combined", terms=terms, ce=0.0)).notes() == []
