"""Every loss in mixed precision: what it computes of large maps is what float32 gives."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from given import AT, INFO, batch, node
from torch import Tensor, nn

from kdrun import model
from kdrun.core.taps import TappedNetwork, resolve_taps, tap_shapes
from kdrun.core.types import DataInfo, Output, TapShapes
from kdrun.loss.base import Loss
from kdrun.loss.table import LOSSES, build_loss
from kdrun.stage.start import borrow

STUDENT, TEACHER = (
    {"name": "resnet8", "depth": 8, "widths": [4, 4, last, last]} for last in (6, 8)
)
TINY = DataInfo(INFO.classes, 3, (16, 16), INFO.train_size)
SETTINGS: dict[str, dict[str, Any]] = {
    "combined": {"terms": {"kd": node("kd"), "sp": node("sp")}},
    "crd": {"negatives": 20},
    "fitnet": {"first_epochs": 0},
    "fsp": {"first_epochs": 0},
    "ab": {"first_epochs": 0},
    "semckd": {"samples": 8},
}
SAME = ("fsp",)  # takes equal widths only
HALF = 2e-2  # of float32, where learned parts run in half precision
FULL = 1e-4


def answers(name: str) -> tuple[Loss, Output, Output]:
    """A loss with two outputs, whose maps have the scale 30 and whose logits have 3."""
    torch.manual_seed(0)
    loss = build_loss(node(name, **SETTINGS.get(name, {})))
    other = model.build(STUDENT if name in SAME else TEACHER, TINY).eval()
    own = model.build(loss.student_node(STUDENT, TEACHER), TINY).eval()
    if name == "simkd":
        borrow(own, other)
    requests = loss.taps()
    seen, images = [], torch.randn(8, 3, 16, 16)
    for where, network, asked in (
        ("student", own, requests.student),
        ("teacher", other, requests.teacher),
    ):
        places = resolve_taps(where, asked, model.module_roles(network), network, TINY)
        told = TapShapes(tap_shapes(network, places, TINY), network, places)
        with torch.no_grad():
            answer = TappedNetwork(network, places)(images)
        seen.append((told, scaled(answer)))
    loss.bind(seen[0][0], seen[1][0], TINY)
    return loss.train(), seen[0][1], seen[1][1]


def scaled(answer: Output) -> Output:
    """With a deviation of 3 in the logits and of 30 in each tap."""
    taps = {name: 30 * tap / tap.std() for name, tap in answer.taps.items()}
    return Output(3 * answer.logits / answer.logits.std(), taps)


def terms(loss: Loss, student: Output, teacher: Output) -> Iterator[tuple[str, Tensor]]:
    torch.manual_seed(0)  # of what a loss draws
    yield from loss(student, teacher, batch(), AT).items()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_mixed_precision_gives_the_terms_of_float32(name, dtype):
    expected = dict(terms(*answers(name)))
    loss, student, teacher = answers(name)
    halved = any(isinstance(part, nn.Conv2d | nn.Linear) for part in loss.modules())
    student.taps = {key: tap.requires_grad_() for key, tap in student.taps.items()}
    student.logits.requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        found = dict(terms(loss, student, teacher))
    assert found.keys() == expected.keys()
    for key, value in found.items():
        assert value.dtype == torch.float32 and value.isfinite()
        torch.testing.assert_close(value, expected[key], rtol=HALF if halved else FULL, atol=1e-6)
    torch.stack(list(found.values())).sum().backward()
    given = [student.logits, *student.taps.values()]
    assert all(tensor.grad.isfinite().all() for tensor in given if tensor.grad is not None)
