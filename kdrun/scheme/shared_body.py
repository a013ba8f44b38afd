"""A student that is a copy of the teacher, of which a few modules learn."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from kdrun.core.config import Config, Network, Student
from kdrun.scheme.base import Scheme, control_stages, student_stage, teacher_stage
from kdrun.stage.base import Stage
from kdrun.stage.train import Train

Paths = Annotated[list[str], Field(min_length=1)]


class SharedBody(Scheme):
    """Shared body: the teacher's network, of which a few modules learn.

    Formula:
        outside of the modules in learn: w_s = w_t, frozen
        in these modules: w_s minimizes the loss of the config, from w_t or from new weights

    Paper:
        none

    Needs:
        - a teacher whose network the student takes over

    Notes:
        - Teacher and student have the same architecture, so the student is not smaller; only a head
          or stage is retrained.
        - With fresh=false the student starts with the teacher's weights, so a loss that compares
          the two networks starts at 0.
        - Norms outside of the modules in learn keep their statistics too.
        - The control trains the same modules with the labels alone.

    Args:
        learn: the modules that learn: roles or module paths, which may have stars.
        fresh: whether these modules start from new weights.
    """

    def __init__(self, learn: Paths, fresh: bool) -> None:
        self.learn, self.fresh = learn, fresh

    def networks(self, config: Config) -> dict[str, Network]:
        return {"teacher": config.teacher, "student": _student_like_teacher(config)}

    def stages(self, config: Config) -> list[Stage]:
        teacher = teacher_stage(config)
        config = config.model_copy(update={"student": _student_like_teacher(config)})
        students = [*control_stages(config), student_stage(config, [teacher], config.loss)]
        return [teacher, *(self._limit(stage) for stage in students if isinstance(stage, Train))]

    def _limit(self, stage: Train) -> Train:
        """Return a stage in which only the chosen modules learn."""
        loss = {"name": "shared_body", "loss": dict(stage.loss), "learn": self.learn}
        return replace(stage, loss=loss, fresh=tuple(self.learn) if self.fresh else ())


def _student_like_teacher(config: Config) -> Student:
    """Return a student's config that describes the teacher's network, to start from its weights."""
    teacher, freeze = config.teacher, config.student.freeze
    return Student.model_validate(
        {**teacher.node, "taps": teacher.taps, "init": "teacher", "freeze": freeze}
    )
