"""A phase for each stage, and its distance to the teacher's, pixel by pixel."""

from dataclasses import replace

import pytest
import torch
from given import AT, INFO, batch, node, output
from torch import nn

from kdrun.core.types import MAIN, TapShapes
from kdrun.engine.learners import Learners
from kdrun.loss.progressive import parameters_between
from kdrun.loss.table import build_loss
from kdrun.model.image.resnet import CifarResNet

STUDENT = {"match/tap[0]": (4, 8, 8), "match/tap[1]": (6, 4, 4)}
TEACHER = {"match/tap[0]": (5, 4, 4), "match/tap[1]": (8, 4, 4)}


def network() -> nn.Module:
    return CifarResNet(depth=8, widths=[4, 4, 4, 6], num_classes=10, in_channels=3)


def progressive(inner=None):
    torch.manual_seed(0)
    settings = {"loss": inner or node("kd"), "epochs": 7, "pairs": "auto"}
    loss = build_loss({"name": "progressive", **settings})
    student, teacher = ({k: (2, *v) for k, v in taps.items()} for taps in (STUDENT, TEACHER))
    paths = dict(zip(STUDENT, ("layer1", "layer3"), strict=True))
    loss.bind(TapShapes(student, network(), paths), TapShapes(teacher, network(), paths), INFO)
    return loss.double()


def test_each_phase_is_the_mean_square_of_its_own_pair():
    loss = progressive()
    student, teacher = output(STUDENT, 1, torch.float64), output(TEACHER, 2, torch.float64)
    for number, tap in enumerate(STUDENT):
        found = loss(student, teacher, batch(), replace(AT, phase=f"stage{number + 1}"))
        maps, target = student.taps[tap], teacher.taps[tap]
        if number == 0:  # 8x8 meets 4x4
            maps = sum(maps[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1)) / 4
        weight = loss.adapters[number][0].weight.detach()[:, :, 0, 0]
        mixed = torch.stack([sum(w * maps[:, c] for c, w in enumerate(row)) for row in weight], 1)
        mean, spread = mixed.mean((0, 2, 3)), mixed.var((0, 2, 3), correction=0)
        shaped = [value[None, :, None, None] for value in (mean, spread)]
        normed = (mixed - shaped[0]) / (shaped[1] + 1e-5).sqrt()
        expected = ((normed - target) ** 2).sum().item() / target.numel()
        assert found["match"].item() == pytest.approx(expected, rel=1e-5)
        assert set(found) == {"match"}


def test_only_the_layers_up_to_a_stage_and_its_adapter_learn():
    loss, student = progressive(), network()
    learners = Learners(student, loss, ())
    first, second, main = loss.phases()
    assert [phase.epochs for phase in (first, second, main)] == [7, 7, None]
    assert main == replace(MAIN, trains=("student.*", "loss.loss.*"))

    def chosen(phase):
        learners.choose(phase.trains)
        return {
            name.split(".")[0] for name, value in student.named_parameters() if value.requires_grad
        }, [all(v.requires_grad for v in adapter.parameters()) for adapter in loss.adapters]

    assert chosen(first) == ({"conv1", "bn1", "layer1"}, [True, False])
    assert chosen(second) == ({"layer2", "layer3"}, [False, True])
    assert "fc" in chosen(main)[0]


def test_layers_between_places_are_counted_once():
    names = parameters_between(network(), ["relu", "layer1", "layer1.0", "layer2"])
    assert [len(part) > 0 for part in names] == [True, True, False, True]
    assert [part[0] for part in names if part] == [
        "conv1.weight",
        "layer1.0.conv1.weight",
        "layer2.0.conv1.weight",
    ]
    assert parameters_between(
        nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)), ["1", ""]
    ) == [
        ["0.weight", "0.bias"],
        ["2.weight", "2.bias"],
    ]


def test_the_main_phase_is_the_loss_inside():
    loss, inner = progressive(node("kd", alpha=0.5)), build_loss(node("kd", alpha=0.5))
    student, teacher, given = output(STUDENT, 1), output(TEACHER, 2), batch()
    found, expected = (one(student, teacher, given, AT) for one in (loss, inner))
    assert found == expected


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_finite_and_the_teacher_gets_no_gradient(dtype):
    loss = progressive().float()
    student, teacher = output(STUDENT, 1, dtype), output(TEACHER, 2, dtype)
    for value in (*student.taps.values(), *teacher.taps.values()):
        value.requires_grad_()
    found = loss(student, teacher, batch(), replace(AT, phase="stage1"))["match"]
    found.backward()
    assert torch.isfinite(found)
    assert student.taps["match/tap[0]"].grad.abs().sum() > 0
    assert teacher.taps["match/tap[0]"].grad is None
