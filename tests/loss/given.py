"""Inputs for the tests of losses: features, logits, and losses from their YAML."""

from typing import Any

import torch
import yaml
from torch import Tensor, nn

from kdrun.config.choices import conf_folder
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.loss.base import Loss
from kdrun.loss.table import build_loss

B, C = 8, 10
AT = Progress(phase="main", epoch=0, epochs=240, step=0, steps=240 * 100)
INFO = DataInfo(tuple(str(number) for number in range(C)), ImageInputs(3, (32, 32)), 512)
Shapes = dict[str, tuple[int, ...]]


def node(name: str, **changes: Any) -> dict[str, Any]:
    """A loss's YAML with some keys changed."""
    text = (conf_folder() / "loss" / f"{name}.yaml").read_text(encoding="utf-8")
    return {**yaml.safe_load(text), **changes}


def bare(name: str, **changes: Any) -> Loss:
    """The distillation terms of a loss alone, with weight 1."""
    return build_loss(node(name, **{"weight": 1.0, "ce": 0.0, "kd": 0.0, **changes}))


def shapes(taps: Shapes, network: nn.Module | None = None) -> TapShapes:
    """The taps that `bind` gets: their shapes for a batch of two."""
    two = {name: (2, *shape) for name, shape in taps.items()}
    return TapShapes(two, network or nn.Linear(C, C), {name: name for name in taps})


def bound(name: str, student: Shapes, teacher: Shapes, **changes: Any) -> Loss:
    """The distillation terms of a loss, bound to taps of these shapes (without B)."""
    torch.manual_seed(0)
    loss = bare(name, **changes)
    loss.bind(shapes(student), shapes(teacher), INFO)
    return loss


def output(taps: Shapes, seed: int, dtype: torch.dtype = torch.float32) -> Output:
    """Random logits and features of B samples."""
    random = torch.Generator().manual_seed(seed)
    draw = {
        name: torch.randn(B, *shape, generator=random).to(dtype) for name, shape in taps.items()
    }
    return Output((3 * torch.randn(B, C, generator=random)).to(dtype), draw)


def batch(seed: int = 5) -> Batch:
    """Labels, and the first B indices."""
    random = torch.Generator().manual_seed(seed)
    rows = torch.arange(B)
    return Batch(torch.zeros(B, 1), torch.randint(C, (B,), generator=random), rows, rows * 0)


def total(loss: Loss, student: Output, teacher: Output, given: Batch | None = None) -> Tensor:
    """The sum of a loss's terms."""
    return torch.stack(list(loss(student, teacher, given or batch(), AT).values())).sum()


def has_the_gradient_of_its_value(loss: Loss, taps: Shapes, teacher: Shapes) -> bool:
    """Whether the gradient to each of the student's taps is that of finite differences."""
    teacher_output = output(teacher, 2, torch.float64)

    def value(*features: Tensor) -> Tensor:
        student = output(taps, 1, torch.float64)
        student.taps = dict(zip(taps, features, strict=True))
        return total(loss, student, teacher_output)

    start = [tap.requires_grad_() for tap in output(taps, 1, torch.float64).taps.values()]
    return torch.autograd.gradcheck(value, start, fast_mode=True)
