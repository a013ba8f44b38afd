from dataclasses import replace
from typing import Any

import pytest
import torch
from given import AT, INFO, C, batch, node, output
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Output, Phase, TapShapes
from kdrun.loss import logits
from kdrun.loss.base import Loss
from kdrun.loss.table import build_loss

DOUBLE = torch.float64
MAP = (4, 6, 6)


def around(loss: dict[str, Any], members: int, temperature: float | None = None) -> Loss:
    """Peers that learn from each other by this loss, bound to a committee."""
    found = build_loss(
        {"name": "around_mutual", "loss": loss, "members": members, "temperature": temperature}
    )
    committee = nn.ModuleDict({"members": nn.ModuleList(nn.Linear(C, C) for _ in range(members))})
    shapes, paths = {}, {}
    for name, path in found.taps().student.items():
        name = name + "[0]" if "/tap" in name else name
        shapes[name] = (2, *(MAP if "/tap" in name else (C,)))
        paths[name] = f"members.{name[0]}" + (f".{path}" if path else "")
    found.bind(TapShapes(shapes, committee, paths), None, INFO)
    return found


def peers(count: int) -> list[Output]:
    found = [output({"tap[0]": MAP}, seed, DOUBLE) for seed in range(20, 20 + count)]
    for one in found:
        one.logits.requires_grad_()
        one.taps["tap[0]"].requires_grad_()
    return found


def together(each: list[Output]) -> Output:
    taps: dict[str, Tensor] = {}
    for number, one in enumerate(each):
        taps[f"{number}/logits"] = one.logits
        for role in ("student", "teacher"):
            taps |= {f"{number}/{role}/{name}": value for name, value in one.taps.items()}
    return Output(torch.full((len(each[0].logits), C), torch.nan), taps)


def literal(student: Tensor, others: list[Tensor], targets: Tensor) -> Tensor:
    """Equation 8 of the paper for one network: its cross-entropy and the mean of its KLs."""
    p = student.softmax(1)
    total = torch.zeros((), dtype=DOUBLE)
    for row, label in enumerate(targets.tolist()):
        total = total - p[row, label].log()
        for teacher in others:
            q = teacher.detach().softmax(1)
            for k in range(C):
                total = total + q[row, k] * (q[row, k] / p[row, k]).log() / len(others)
    return total / len(targets)


@pytest.mark.parametrize("count", [2, 3])
def test_it_is_deep_mutual_learning(count: int):
    each, given = peers(count), batch()
    loss = around(node("kd", alpha=1.0, temperature=4.0), count, 1.0)
    found = loss(together(each), None, given, AT)
    answers = [one.logits for one in each]
    for number, name in enumerate(["", "peer1/", "peer2/"][:count]):
        others = [answer for peer, answer in enumerate(answers) if peer != number]
        wanted = literal(answers[number], others, given.targets)
        value = found[f"{name}ce"] + found[f"{name}kd"]
        assert value.item() == pytest.approx(wanted.item(), rel=1e-5)
        (gradient,) = torch.autograd.grad(
            torch.stack(list(found.values())).sum(), answers[number], retain_graph=True
        )
        (by_hand,) = torch.autograd.grad(wanted, answers[number], retain_graph=True)
        torch.testing.assert_close(gradient, by_hand, rtol=1e-5, atol=1e-12)
    assert len(found) == 2 * count


def test_features_of_a_peer_teach_and_do_not_learn():
    each = peers(2)
    loss = around(node("attention"), 2)
    found = loss(together(each), None, batch(), AT)
    assert set(found) == {"ce", "attention", "peer1/ce", "peer1/attention"}
    taps = [peer.taps["tap[0]"] for peer in each]
    student_gradient, peer_gradient = torch.autograd.grad(
        found["attention"], taps, allow_unused=True
    )
    assert student_gradient.abs().max() > 0
    assert peer_gradient is None
    assert "student from peer1: pairs: stages[*] (4x6x6) from stages[*] (4x6x6)" in loss.notes()


def test_the_schemes_temperature_takes_the_place_of_the_losses_and_is_told():
    terms = {"kd": node("kd", temperature=3.0)}
    loss = around(node("combined", terms=terms, temperature=2.0), 2, 1.0)
    pair = loss.pairs["1_0"]
    assert (pair.temperature, pair.parts["of kd"].temperature) == (1, 1)
    assert loss.notes() == ["the loss is taken at temperature 1.0: scheme.temperature"]
    kept = around(node("kd", temperature=3.0), 2)
    assert kept.pairs["0_1"].temperature == 3
    assert kept.notes() == []


def test_first_phases_train_what_belongs_to_each_pair(monkeypatch: pytest.MonkeyPatch):
    first = Phase("hint", 3, ("student.layer1.*", "loss.*"))
    monkeypatch.setattr(
        logits.KD, "phases", lambda self: (first, Phase("main", None, ("student.*",)))
    )
    loss = around(node("kd"), 2)
    hint, main = loss.phases()
    assert (hint.name, hint.epochs) == ("hint", 3)
    assert set(hint.trains) == {
        "student.members.0.layer1.*",
        "student.members.1.layer1.*",
        "loss.pairs.0_1.*",
        "loss.pairs.1_0.*",
    }
    assert main.trains == ("student.members.0.*", "student.members.1.*")
    found = loss(together(peers(2)), None, batch(), replace(AT, phase="hint"))
    alone = build_loss(node("kd"))
    each = peers(2)
    wanted = alone(each[0], Output(each[1].logits.detach()), batch(), AT)
    assert found["ce"].item() == pytest.approx(wanted["ce"].item())


def test_a_loss_without_a_teacher_is_refused():
    with pytest.raises(UserError, match="the loss 'ce' learns from no teacher, and peers teach"):
        around({"name": "ce"}, 2)


def test_nothing_is_differentiated_by_what_teaches(monkeypatch: pytest.MonkeyPatch):
    def follow(self: Loss, student: Output, teacher: Output, *rest: object) -> dict[str, Tensor]:
        return {"answer": teacher.logits.sum(), "features": teacher.taps["tap[0]"].sum()}

    loss = around(node("attention"), 2)
    monkeypatch.setattr(type(loss.pairs["0_1"]), "forward", follow)
    found = loss(together(peers(2)), None, batch(), AT)
    assert {name for name, value in found.items() if value.requires_grad} == {"ce", "peer1/ce"}
    assert len(found) == 6
