"""Losses around other losses hand the mask of texts on: padding changes nothing in their sums."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from given import AT, node
from given_texts import STUDENT, TEXTS, padded_batch, text_batch, transformer
from torch import nn

from kdrun import model
from kdrun.core.taps import TappedNetwork, resolve_taps, tap_shapes
from kdrun.core.types import Batch, Output, TapShapes
from kdrun.loss.base import Loss
from kdrun.loss.table import build_loss
from kdrun.model.committee import Committee

TEACHER = transformer(depth=2, width=12, hidden=24)
INNER = [
    node("hidden_mse"),
    node("minilm"),
    node("attention"),
    node("rkd", pairs=[("stages[1]",) * 2]),
]
WRAPPERS: dict[str, dict[str, Any]] = {
    "around_mutual": {"members": 2, "temperature": None},
    "around_teachers": {"combine": "logits", "weights": [1.0, 2.0]},
    "moving_teacher": {"kind": "ema", "decay": 0.9, "every": 1, "start": 0},
    "progressive": {"epochs": 1, "pairs": "auto"},
    "shared_body": {"learn": ["stages[*]", "logits"]},
}


def tapped(network: nn.Module, request: Mapping[str, str]) -> TapShapes:
    """The taps of a network; in a committee, the number of a member is before their names."""
    if not isinstance(network, Committee):
        paths = resolve_taps("network", request, model.module_roles(network), network, TEXTS)
        return TapShapes(tap_shapes(network, paths, TEXTS), network, paths)
    shapes, paths = {}, {}
    for number, member in enumerate(network.members):
        prefix = f"{number}/"
        inner = {k.removeprefix(prefix): v for k, v in request.items() if k.startswith(prefix)}
        taps = tapped(member, inner)
        shapes |= {prefix + name: shape for name, shape in taps.shapes.items()}
        paths |= {prefix + name: network.path_of(number, path) for name, path in taps.paths.items()}
    return TapShapes(shapes, network, paths)


def value(loss: Loss, student: TapShapes, teacher: TapShapes | None, batch: Batch) -> list[float]:
    """The sum of the terms in each phase."""
    outputs: list[Output | None] = []
    for taps in (student, teacher):
        outputs.append(taps and TappedNetwork(taps.network, taps.paths)(batch.inputs))
    sums = []
    for phase in loss.phases():
        at = type(AT)(phase.name, 1, 2, 5, 10)
        sums.append(torch.stack(list(loss(*outputs, batch, at).values())).sum().item())
    return sums


@pytest.mark.parametrize("inner", INNER, ids=lambda inner: inner["name"])
@pytest.mark.parametrize("name", WRAPPERS)
def test_padding_does_not_count_in_losses_around_others(name, inner):
    torch.manual_seed(0)
    loss = build_loss({"name": name, "loss": inner, **WRAPPERS[name]})
    networks = [model.build(config, TEXTS).double().eval() for config in (STUDENT, TEACHER) * 2]
    student = Committee(networks[:2]) if name == "around_mutual" else networks[0]
    teacher = Committee(networks[1:3]) if name == "around_teachers" else networks[3]
    request = loss.taps()
    student_taps = tapped(student, request.student)
    teacher_taps = tapped(teacher, request.teacher) if loss.uses_teacher else None
    loss.bind(student_taps, teacher_taps, TEXTS)
    loss.double().eval()  # norms keep their statistics between the two calls
    sums = value(loss, student_taps, teacher_taps, text_batch())
    padded = value(loss, student_taps, teacher_taps, padded_batch(text_batch(), 3))
    assert padded == pytest.approx(sums, rel=1e-9)


def test_heads_after_stages_read_the_average_over_tokens():
    torch.manual_seed(0)
    loss = build_loss({"name": "own_stages", "loss": node("kd"), "features": 1.0})
    taps = tapped(model.build(transformer(depth=3), TEXTS).double().eval(), loss.taps().student)
    loss.bind(taps, None, TEXTS)
    loss.double().eval()
    sums = value(loss, taps, None, text_batch())
    assert value(loss, taps, None, padded_batch(text_batch(), 3)) == pytest.approx(sums, rel=1e-9)
