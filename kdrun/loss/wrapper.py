"""A loss that holds the config's and changes what it is given."""

from collections.abc import Mapping
from typing import Any, TypeVar

from torch import Tensor

from kdrun.core.types import Batch, DataInfo, Output, Phase, Progress, TapRequest, TapShapes
from kdrun.loss.base import Loss, nested
from kdrun.loss.build import build_loss

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

    def student(self, student: dict[str, Any], teacher: dict[str, Any]) -> dict[str, Any]:
        return self.loss.student(student, teacher)

    def taps(self) -> TapRequest:
        return self.loss.taps()

    def phases(self) -> tuple[Phase, ...]:
        return tuple(nested(phase, "loss") for phase in self.loss.phases())

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        self.loss.bind(student, teacher, data)

    def decide(self, teacher: Output) -> Tensor:
        return self.loss.decide(teacher)

    def notes(self) -> list[str]:
        return self.loss.notes()

    def finished(self) -> str:
        return self.loss.finished()

    def ramp(self, at: Progress) -> float:
        return self.loss.ramp(at)

    def prepare(self, batch: Batch, at: Progress) -> Batch:
        return self.loss.prepare(batch, at)

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, at: Progress
    ) -> dict[str, Tensor]:
        return self.loss(student, teacher, batch, at)


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
