"""A student that is the teacher's network, of which only some places learn."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from kdrun.core.config import Config, Network, Student
from kdrun.scheme.base import Scheme, control_stages, student_stage, teacher_stage
from kdrun.stage.base import Stage
from kdrun.stage.train import Train

Places = Annotated[list[str], Field(min_length=1)]


class SharedBody(Scheme):
    """Student and control start from the teacher's weights; all but a few places are frozen.

    Args:
        learn: these places: roles or module paths, with stars.
        fresh: whether they start from new weights.
    """

    def __init__(self, learn: Places, fresh: bool) -> None:
        self.learn, self.fresh = learn, fresh

    def networks(self, config: Config) -> dict[str, Network]:
        return {"teacher": config.teacher, "student": _copied(config)}

    def stages(self, config: Config) -> list[Stage]:
        teacher = teacher_stage(config)
        config = config.model_copy(update={"student": _copied(config)})
        students = [*control_stages(config), student_stage(config, [teacher], config.loss)]
        return [teacher, *(self._bounded(one) for one in students if isinstance(one, Train))]

    def _bounded(self, stage: Train) -> Train:
        loss = {"name": "shared_body", "loss": dict(stage.loss), "learn": self.learn}
        return replace(stage, loss=loss, fresh=tuple(self.learn) if self.fresh else ())


def _copied(config: Config) -> Student:
    """The teacher's network as the student's."""
    teacher, freeze = config.teacher, config.student.freeze
    return Student.model_validate(
        {**teacher.node, "taps": teacher.taps, "init": "teacher", "freeze": freeze}
    )
