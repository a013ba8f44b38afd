"""Around a loss: its teacher is the student itself, averaged or as it was some epochs ago."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Literal, Self

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.core.ranges import UnitBelowOne
from kdrun.core.taps import TappedNetwork
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapRequest, TapShapes
from kdrun.loss.base import label_loss
from kdrun.loss.committee_taps import require_moving
from kdrun.loss.pseudo_labels import with_pseudo_labels
from kdrun.loss.wrapper import LossWrapper, begun, picked, seen

Kind = Literal["ema", "snapshot"]
_OWN, _OTHER = "own/", "other/"  # the student's taps, and the places that its copy is tapped at


class MovingTeacher(LossWrapper):
    """A copy of the student teaches it, on the same images, in eval mode and without a graph.

    `ema` (Tarvainen and Valpola 2017, arXiv:1703.01780): before step k = 1, 2, ... the copy is
    min(1 - 1/(k + 1), decay) parts itself and the rest the student, norms' statistics too.
    `snapshot` (Yang et al. 2019, arXiv:1812.00123): the copy is the student at the beginning of
    epoch `start` and of each `every`-th after it. Before epoch `start` only the labels count. The
    copy is kept as buffers: nothing trains it, and it is saved and resumed.

    Args:
        loss: the node of the loss inside, which may tap the copy as any teacher.
        kind: which of both.
        decay: of the average.
        every: epochs between two snapshots.
        start: the epoch, from 0, in which the copy begins to teach.
    """

    def __init__(
        self,
        loss: dict[str, Any],
        kind: Kind,
        decay: UnitBelowOne,
        every: PositiveInt,
        start: NonNegativeInt,
    ) -> None:
        super().__init__(loss)
        self.uses_teacher, self.name = False, loss["name"]
        self.kind, self.decay, self.every, self.start = kind, decay, every, start

    @property
    def needs_labels(self) -> bool:
        return False

    def taps(self) -> TapRequest:
        asked = self.loss.taps()
        return TapRequest({**begun(_OWN, asked.student), **begun(_OTHER, asked.teacher)})

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if not self.loss.uses_teacher:
            raise UserError(
                f"loss {self.name!r} reads no teacher, and scheme=moving_teacher makes one.",
                "  choose a loss with a teacher: loss=kd",
            )
        require_moving(self.loss, self.name, "moving_teacher")
        self._student = (student.network,)  # in a tuple: it is no part of the loss
        self.teacher = still_copy(student.network)
        self._updated: tuple[str, int] | None = None
        own, other = (seen(start, student) for start in (_OWN, _OTHER))
        self._ask_teacher = TappedNetwork(self.teacher, other.paths)
        self.loss.bind(own, TapShapes(other.shapes, self.teacher, other.paths), data)

    def ramp(self, progress: Progress) -> float:
        return super().ramp(progress) if progress.epoch >= self.start else 0.0

    def train(self, mode: bool = True) -> Self:
        """The copy stays in eval mode."""
        super().train(mode)
        if hasattr(self, "teacher"):
            self.teacher.eval()
        return self

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        if self._updated != (
            progress.phase,
            progress.step,
        ):  # a step may be computed in several parts
            self._updated = (progress.phase, progress.step)
            self._follow(progress)
        if progress.epoch < self.start and progress.phase == self.phases()[-1].name:
            return {"ce": label_loss(student.logits, batch)}
        with torch.no_grad():
            answer = self._ask_teacher(batch.inputs)
        batch = with_pseudo_labels(batch, self.loss, answer)
        return self.loss(
            Output(student.logits, picked(_OWN, student.taps)), answer, batch, progress
        )

    @torch.no_grad()
    def _follow(self, progress: Progress) -> None:
        """Bring the copy to where it is to be at the beginning of this step."""
        if self.kind == "ema":
            self._blend(min(1 - 1 / (progress.step + 1), self.decay))
        elif progress.step * progress.epochs == progress.epoch * progress.steps:
            since = progress.epoch - self.start
            if since >= 0 and since % self.every == 0:
                self._blend(0.0)

    def _blend(self, kept: float) -> None:
        pairs = zip(_tensors(self.teacher), _tensors(self._student[0]), strict=True)
        for (_, own), (_, new) in pairs:
            if kept and own.is_floating_point():
                own.lerp_(new.detach(), 1 - kept)
            else:
                own.copy_(new)


def still_copy(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose weights are buffers: no optimizer sees them."""
    copy = deepcopy(network)
    for module in copy.modules():
        for name, value in list(module.named_parameters(recurse=False)):
            del module._parameters[name]
            module.register_buffer(name, value.detach().clone())
    return copy.eval()


def _tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weights and buffers by name, in the order of the names: a copy has only buffers."""
    return iter(sorted(network.state_dict(keep_vars=True).items()))
