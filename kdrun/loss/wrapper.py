"""A loss that holds the config's and changes what it is given."""

from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor

from kdrun.core.types import Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.base import Loss, nest_phase
from kdrun.loss.table import build_loss

Value = TypeVar("Value")


class LossWrapper(Loss):
    """Passes everything on to the config's loss; schemes override what they change.

    Args:
        loss: the config's node.
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


def begun(start: str, named: Mapping[str, Value]) -> dict[str, Value]:
    """The same under longer names."""
    return {start + name: value for name, value in named.items()}


def picked(start: str, named: Mapping[str, Value]) -> dict[str, Value]:
    """Those whose names begin so, under the rest of their names."""
    return {
        name.removeprefix(start): value for name, value in named.items() if name.startswith(start)
    }


def seen(start: str, network: TapShapes) -> TapShapes:
    """A network as the loss sees it whose taps begin so."""
    return TapShapes(picked(start, network.shapes), network.network, picked(start, network.paths))
