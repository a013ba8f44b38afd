"""Self-distillation between stages: shallow stages of a network learn from its deepest stage."""

from typing import Any, NamedTuple

import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.adapters import pooled_maps_of, pooled_shape
from kdrun.loss.base import Loss, refuse_copied_weights
from kdrun.loss.functional import label_loss, to_float32
from kdrun.loss.pseudo_labels import with_pseudo_labels
from kdrun.loss.table import build_loss
from kdrun.loss.tap_pairs import Shape


class OwnStages(Loss):
    """The loss of scheme=own_stages; `kdrun.scheme.own_stages.OwnStages` has its formula.

    A head after each shallow stage predicts logits, in texts from an average over tokens. The heads
    are modules of the loss, so that the trained network is saved without them.

    Args:
        loss: the config node of the inner loss, a loss on logits, which trains each head.
        features: weight of the squared distance between features, summed over channels.
    """

    uses_teacher = False

    def __init__(self, loss: dict[str, Any], features: NonNegativeFloat) -> None:
        super().__init__()
        self.node, self.feature_weight = loss, features
        self.stages: list[str] = []  # names of the taps
        self.heads = nn.ModuleList()
        self.losses = nn.ModuleList([build_loss(loss)])  # one for each head, after `bind`

    @property
    def needs_labels(self) -> bool:
        return False

    def taps(self) -> TapRequest:
        return TapRequest(student={"stage": "stages[*]"})

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.stages = list(student.shapes)
        self._refuse()
        *shallow, deepest = (pooled_shape(student.shapes[name], data) for name in self.stages)
        self.heads = nn.ModuleList(Head(shape, deepest, data.num_classes) for shape in shallow)
        self.losses = nn.ModuleList(build_loss(self.node) for _ in shallow)
        no_taps = TapShapes(shapes={}, network=student.network, paths={})
        for loss in self._inner_losses():
            loss.bind(no_taps, no_taps if loss.uses_teacher else None, data)

    def notes(self) -> list[str]:
        return [f"heads after stages 1 to {len(self.heads)} learn from the network's own logits"]

    def ramp(self, progress: Progress) -> float:
        return self._inner_losses()[0].ramp(progress)

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        terms = {"ce": label_loss(student.logits, batch)}
        target = Output(student.logits.detach())
        batch = with_pseudo_labels(batch, self._inner_losses()[0], target)
        *shallow, deepest = (pooled_maps_of(student, name) for name in self.stages)
        deepest_features = to_float32(deepest.detach()).mean(dim=(2, 3))
        for head, loss, maps in zip(self.heads, self._inner_losses(), shallow, strict=True):
            output: HeadOutput = head(maps)
            teacher = target if loss.uses_teacher else None
            inner_terms = loss(Output(output.logits), teacher, batch, progress)
            head_terms = {f"heads/{name}": value for name, value in inner_terms.items()}
            if self.feature_weight:
                difference = to_float32(output.features).mean(dim=(2, 3)) - deepest_features
                distance = difference.square().sum(dim=1).mean()
                head_terms["features"] = self.feature_weight * distance
            for name, value in head_terms.items():
                terms[name] = terms[name] + value if name in terms else value
        return terms

    def _inner_losses(self) -> list[Loss]:
        return [loss for loss in self.losses if isinstance(loss, Loss)]

    def _refuse(self) -> None:
        """Refuse losses and networks that this loss can't use."""
        loss, name = self._inner_losses()[0], self.node["name"]
        taps = loss.taps()
        if taps.student or taps.teacher or len(loss.phases()) > 1:
            raise UserError(
                f"loss {name!r} reads features of a teacher, and scheme=own_stages has none.",
                "  choose a loss on logits: loss=kd",
            )
        refuse_copied_weights(loss, name, "own_stages")
        if len(self.stages) < 2:
            raise UserError(
                f"scheme=own_stages needs two stages, and the student has {len(self.stages)}.",
                "  name the module paths yourself: student.taps.stages=[PATH,...]",
            )


class HeadOutput(NamedTuple):
    """What a head returns: features (B, D, h, w) and logits (B, classes)."""

    features: Tensor
    logits: Tensor


class Head(nn.Module):
    """A bottleneck from a shallow stage to the shape of the deepest stage, then a linear layer.

    Args:
        shallow: shape (2, C, H, W) of the shallow stage, for two samples.
        deepest: shape (2, D, h, w) of the deepest stage, for two samples.
        classes: number of classes.
    """

    def __init__(self, shallow: Shape, deepest: Shape, classes: int) -> None:
        super().__init__()
        width = max(1, deepest[1] // 4)
        self.size = deepest[2], deepest[3]
        self.body = nn.Sequential(
            *_convolution(shallow[1], width, 1),
            *_convolution(width, width, 3),
            *_convolution(width, deepest[1], 1),
        )
        self.classify = nn.Linear(deepest[1], classes)

    def forward(self, maps: Tensor) -> HeadOutput:
        if tuple(maps.shape[2:]) != self.size:
            maps = F.adaptive_avg_pool2d(maps, self.size)
        features = self.body(maps)
        return HeadOutput(features, self.classify(features.mean(dim=(2, 3))))


def _convolution(source: int, target: int, size: int) -> list[nn.Module]:
    convolution = nn.Conv2d(source, target, size, padding=size // 2, bias=False)
    return [convolution, nn.BatchNorm2d(target), nn.ReLU()]
