"""Self-distillation over time: the teacher is the student, averaged or of some epochs ago."""

from pydantic import NonNegativeInt, PositiveInt

from kdrun.core.config import Config, Network
from kdrun.core.ranges import UnitBelowOne
from kdrun.loss.moving_teacher import Kind
from kdrun.scheme.base import Scheme
from kdrun.scheme.no_teacher import lone_student
from kdrun.stage.base import Stage


class MovingTeacher(Scheme):
    """Mean teacher (arXiv:1703.01780) or snapshots (arXiv:1812.00123); see the loss of this name.

    Args:
        kind: an exponential moving average, or snapshots.
        decay: of the average.
        every: epochs between two snapshots.
        start: the epoch, from 0, in which the teaching begins.
    """

    def __init__(
        self, kind: Kind, decay: UnitBelowOne, every: PositiveInt, start: NonNegativeInt
    ) -> None:
        self.settings = {"kind": kind, "decay": decay, "every": every, "start": start}

    def networks(self, config: Config) -> dict[str, Network]:
        return {"student": config.student}

    def stages(self, config: Config) -> list[Stage]:
        loss = {"name": "moving_teacher", "loss": config.loss, **self.settings}
        return lone_student(config, loss)
