"""The base class of losses with which schemes wrap the loss of the config."""

from typing import Any

from torch import Tensor

from kdrun.core.types import Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.base import Loss, nest_phase
from kdrun.loss.table import build_loss


class LossWrapper(Loss):
    """Passes every call on to the inner loss; subclasses override methods to change it.

    Args:
        loss: the config node of the inner loss.
    """

    def __init__(self, loss: dict[str, Any]) -> None:
        super().__init__()
        self.loss = build_loss(loss)
        self.uses_teacher = self.loss.uses_teacher

    def student_node(self, student: dict[str, Any], teacher: dict[str, Any]) -> dict[str, Any]:
        return self.loss.student_node(student, teacher)

    def taps(self) -> TapRequest:
        return self.loss.taps()

    def phases(self) -> tuple[Phase, ...]:
        return tuple(nest_phase(phase, "loss") for phase in self.loss.phases())

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.loss.bind(student, teacher, data)

    def pseudo_labels(self, teacher: Output) -> Tensor:
        return self.loss.pseudo_labels(teacher)

    def notes(self) -> list[str]:
        return self.loss.notes()

    def stop_reason(self) -> str:
        return self.loss.stop_reason()

    def ramp(self, progress: Progress) -> float:
        return self.loss.ramp(progress)

    def prepare(self, batch: Batch, progress: Progress) -> Batch:
        return self.loss.prepare(batch, progress)

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        return self.loss(student, teacher, batch, progress)
