"""A loss that holds the config's and changes what it is given."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from kdrun.core.types import Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.base import Loss, nested
from kdrun.loss.build import build_loss


class Around(Loss):
    """Passes everything on to the config's loss; schemes override what they change.

    Args:
        loss: the config's node.

    Attributes:
        learns: globs of the scheme's own parts that learn in the main phase.
    """

    learns: tuple[str, ...] = ()

    def __init__(self, loss: dict[str, Any]) -> None:
        super().__init__()
        self.inner = build_loss(loss)
        self.uses_teacher = self.inner.uses_teacher
        self.min_batch = self.inner.min_batch

    def student(self, student: dict[str, Any], teacher: dict[str, Any]) -> dict[str, Any]:
        return self.inner.student(student, teacher)

    def taps(self) -> TapRequest:
        return self.inner.taps()

    def phases(self) -> tuple[Phase, ...]:
        *first, main = (nested(phase, "inner") for phase in self.inner.phases())
        return (*first, replace(main, trains=(*main.trains, *self.learns)))

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.inner.bind(student, teacher, data)

    def notes(self) -> list[str]:
        return self.inner.notes()

    def finished(self) -> str:
        return self.inner.finished()

    def ramp(self, at: Progress) -> float:
        return self.inner.ramp(at)

    def prepare(self, batch: Batch, at: Progress) -> Batch:
        return self.inner.prepare(batch, at)

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, at: Progress
    ) -> dict[str, Tensor]:
        return self.inner(student, teacher, batch, at)
