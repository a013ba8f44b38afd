"""Heads that learn from the network's own deepest stage, against the formula in float64."""

import math

import pytest
import torch
from given import AT, INFO, batch, node, output, shapes

from kdrun.core.errors import UserError
from kdrun.loss.table import build_loss

STAGES = {"stage[0]": (4, 8, 8), "stage[1]": (6, 4, 4), "stage[2]": (8, 4, 4)}
ALPHA, T, WEIGHT = 0.1, 3.0, 0.25


def own_stages(inner=None, taps=STAGES):
    torch.manual_seed(0)
    inner = inner or node("kd", alpha=ALPHA, temperature=T)
    loss = build_loss({"name": "own_stages", "loss": inner, "features": WEIGHT})
    loss.bind(shapes(taps), None, INFO)
    return loss.double()


def soft(row, temperature):
    exps = [math.exp(value / temperature) for value in row]
    return [value / sum(exps) for value in exps]


def plain_ce(logits, targets):
    rows = zip(logits.tolist(), targets.tolist(), strict=True)
    return -sum(math.log(soft(row, 1)[target]) for row, target in rows) / len(targets)


def plain_kd(logits, teacher):
    found = 0.0
    for student_row, teacher_row in zip(logits.tolist(), teacher.tolist(), strict=True):
        p, q = soft(teacher_row, T), soft(student_row, T)
        found += T**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    return found / len(logits)


def test_the_terms_are_those_of_the_paper():
    loss, student, given = own_stages(), output(STAGES, 1, torch.float64), batch()
    found = loss(student, None, given, AT)
    ce, kd, features = 0.0, 0.0, 0.0
    deepest = student.taps["stage[2]"]
    for head, name in zip(loss.heads, ("stage[0]", "stage[1]"), strict=True):
        head_features, logits = (value.detach() for value in head(student.taps[name]))
        ce += (1 - ALPHA) * plain_ce(logits, given.targets)
        kd += ALPHA * plain_kd(logits, student.logits)
        for mine, its in zip(
            head_features.flatten(2).tolist(), deepest.flatten(2).tolist(), strict=True
        ):
            means = [[sum(pixels) / len(pixels) for pixels in maps] for maps in (mine, its)]
            squares = [(a - b) ** 2 for a, b in zip(*means, strict=True)]
            features += WEIGHT * sum(squares) / len(deepest)
    assert found["ce"].item() == pytest.approx(plain_ce(student.logits, given.targets), rel=1e-5)
    assert found["heads/ce"].item() == pytest.approx(ce, rel=1e-5)
    assert found["heads/kd"].item() == pytest.approx(kd, rel=1e-5)
    assert found["features"].item() == pytest.approx(features, rel=1e-5)
    assert set(found) == {"ce", "heads/ce", "heads/kd", "features"}


def test_what_teaches_gets_no_gradient_from_what_learns():
    loss, student = own_stages(), output(STAGES, 1, torch.float64)
    for value in (student.logits, *student.taps.values()):
        value.requires_grad_()
    found = loss(student, None, batch(), AT)
    taught = found["heads/ce"] + found["heads/kd"] + found["features"]
    taught.backward(retain_graph=True)
    assert student.logits.grad is None
    assert student.taps["stage[2]"].grad is None
    assert student.taps["stage[0]"].grad.abs().sum() > 0
    found["ce"].backward()
    assert student.logits.grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_extreme_answers_in_half_precision_stay_finite(dtype):
    loss, student = own_stages().float(), output(STAGES, 1, dtype)
    student.logits.mul_(1e4 / 3)
    with torch.autocast("cpu", dtype=dtype):
        found = loss(student, None, batch(), AT)
    assert all(torch.isfinite(value) for value in found.values())


def test_a_loss_on_features_is_refused():
    with pytest.raises(UserError, match="loss 'attention' reads features of a teacher"):
        own_stages(node("attention"))


def test_one_stage_is_too_few():
    with pytest.raises(UserError, match=r"needs two stages, and the student has 1\."):
        own_stages(taps={"stage[0]": (4, 8, 8)})
