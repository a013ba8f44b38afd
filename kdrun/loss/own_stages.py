"""Around a loss: heads after each stage of a network learn from its own deepest one."""

from typing import Any

import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import as_grid, grid_shape
from kdrun.loss.base import Loss, label_loss, to_float32
from kdrun.loss.committee_taps import require_moving
from kdrun.loss.pseudo_labels import with_pseudo_labels
from kdrun.loss.table import build_loss
from kdrun.loss.tap_pairs import Shape


class OwnStages(Loss):
    """Zhang et al. 2019 (arXiv:1905.08094), "Be Your Own Teacher", section 3.

    CE(y, z) + sum over shallow stages i of L(z_i, z) + features * mean_b |F_i - F|^2, where z_i
    are the logits of a head after stage i, L is the loss inside with the network's own logits z
    as the teacher's, and F the deepest features, averaged over their pixels; neither z nor F gets
    a gradient from it. Heads belong to the loss, so that the network stays what it is.

    Args:
        loss: the node of a loss on logits, its labels' term included.
        features: weight of the last term, which is summed over a sample's features.
    """

    uses_teacher = False

    def __init__(self, loss: dict[str, Any], features: NonNegativeFloat) -> None:
        super().__init__()
        self.node, self.features = loss, features

    @property
    def needs_labels(self) -> bool:
        return False

    def taps(self) -> TapRequest:
        return TapRequest(student={"stage": "stages[*]"})

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.stages = list(student.shapes)
        self._refuse()
        *shallow, deepest = (grid_shape(student.shapes[name]) for name in self.stages)
        self.heads = nn.ModuleList(Head(shape, deepest, data.num_classes) for shape in shallow)
        self.losses = nn.ModuleList(build_loss(self.node) for _ in shallow)
        nothing = TapShapes({}, student.network, {})
        for loss in self._inner():
            loss.bind(nothing, nothing if loss.uses_teacher else None, data)

    def notes(self) -> list[str]:
        return [f"heads after stages 1 to {len(self.heads)} learn from the network's own logits"]

    def ramp(self, progress: Progress) -> float:
        return self._inner()[0].ramp(progress)

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        found = {"ce": label_loss(student.logits, batch)}
        own = Output(student.logits.detach())
        batch = with_pseudo_labels(batch, self._inner()[0], own)
        *shallow, deepest = (as_grid(student.taps[name]) for name in self.stages)
        target = _pooled(deepest.detach())
        for head, loss, maps in zip(self.heads, self._inner(), shallow, strict=True):
            features, logits = head(maps)
            terms = loss(Output(logits), own if loss.uses_teacher else None, batch, progress)
            terms = {f"heads/{name}": value for name, value in terms.items()}
            if self.features:
                distance = (_pooled(features) - target).square().sum(dim=1).mean()
                terms["features"] = self.features * distance
            for name, value in terms.items():
                found[name] = found[name] + value if name in found else value
        return found

    def _inner(self) -> list[Loss]:
        return [loss for loss in self.losses if isinstance(loss, Loss)]

    def _refuse(self) -> None:
        probe, name = build_loss(self.node), self.node["name"]
        asked = probe.taps()
        if asked.student or asked.teacher or len(probe.phases()) > 1:
            raise UserError(
                f"loss {name!r} reads features of a teacher, and scheme=own_stages has none.",
                "  choose a loss on logits: loss=kd",
            )
        require_moving(probe, name, "own_stages")
        if len(self.stages) < 2:
            raise UserError(
                f"scheme=own_stages needs two stages, and the student has {len(self.stages)}.",
                "  name the module paths yourself: student.taps.stages=[PATH,...]",
            )


class Head(nn.Module):
    """A bottleneck from a shallow stage to the shape of the deepest, then a linear layer.

    Args:
        own: shape (2, C, H, W) of the stage.
        deepest: shape (2, D, h, w) of the last one.
        classes: how many.
    """

    def __init__(self, own: Shape, deepest: Shape, classes: int) -> None:
        super().__init__()
        width = max(1, deepest[1] // 4)
        self.grid = deepest[2], deepest[3]
        self.body = nn.Sequential(
            *_unit(own[1], width, 1), *_unit(width, width, 3), *_unit(width, deepest[1], 1)
        )
        self.classify = nn.Linear(deepest[1], classes)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, D, h, w) and logits (B, classes)."""
        if tuple(maps.shape[2:]) != self.grid:
            maps = F.adaptive_avg_pool2d(maps, self.grid)
        features = self.body(maps)
        return features, self.classify(features.mean(dim=(2, 3)))


def _pooled(maps: Tensor) -> Tensor:
    return to_float32(maps).mean(dim=(2, 3))


def _unit(channels_in: int, channels_out: int, size: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, channels_out, size, padding=size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(channels_out), nn.ReLU()]
