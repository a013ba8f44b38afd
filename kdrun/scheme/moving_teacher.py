"""Self-distillation over time: the teacher is an earlier state of the student."""

from pydantic import NonNegativeInt, PositiveInt

from kdrun.core.config import Config, Network
from kdrun.core.ranges import UnitBelowOne
from kdrun.loss.moving_teacher import Kind
from kdrun.scheme.base import Scheme
from kdrun.scheme.no_teacher import stages_without_teacher
from kdrun.stage.base import Stage


class MovingTeacher(Scheme):
    """Moving teacher: the student's average or a snapshot.

    Formula:
        kind=ema: w_t <- d w_t + (1 - d) w_s before each step k = 0, 1, ... of a phase
        d = min(1 - 1/(k + 1), decay); at step 0 the copy equals the student
        kind=snapshot: w_t <- w_s at the beginning of epochs start, start + every, ...
        from epoch start on the loss of the config with w_t as the teacher; before it CE(y, z_s)

    Paper:
        Tarvainen and Valpola, Mean teachers are better role models, NeurIPS 2017, arXiv:1703.01780;
        Yang, Xie, Su, Yuille, Snapshot Distillation, CVPR 2019, arXiv:1812.00123

    Needs:
        - a loss that reads a teacher, on logits or features
        - one more copy of the student in memory, and its forward pass in each step

    Notes:
        - The teacher sees the same augmented images as the student and runs in eval mode; in the
          paper of mean teacher it sees images with different noise.
        - The paper takes snapshots with a cyclic learning rate; here the recipe sets the schedule.
        - In a run that ends before epoch start, the teacher begins in epoch start (E - 1) / 240 of
          its E epochs, rounded down.
        - If the loss names pairs of module paths, the teacher's paths are paths of the student's
          network too.

    Args:
        kind: an exponential moving average, or snapshots.
        decay: the share of itself that the average keeps in each step.
        every: epochs between two snapshots.
        start: the epoch, counted from 0, in which the student begins to learn from the teacher.
    """

    def __init__(
        self, kind: Kind, decay: UnitBelowOne, every: PositiveInt, start: NonNegativeInt
    ) -> None:
        self.settings = {"kind": kind, "decay": decay, "every": every, "start": start}

    def networks(self, config: Config) -> dict[str, Network]:
        return {"student": config.student}

    def stages(self, config: Config) -> list[Stage]:
        loss = {"name": "moving_teacher", "loss": config.loss, **self.settings}
        return stages_without_teacher(config, loss)
