"""Students that teach students of their own kind."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from kdrun.core.config import Config
from kdrun.core.errors import ConfigError, Fault
from kdrun.scheme.base import Scheme, control_stages, student_stage, teacher_stage
from kdrun.stage.base import Stage, StageInfo
from kdrun.stage.gather import Gather
from kdrun.stage.train import Train

Generations = Annotated[int, Field(ge=1, le=16)]


class BornAgain(Scheme):
    """Furlanello et al. 2018 (arXiv:1805.04770): each generation learns from the one before it.

    teacher -> generation1 -> ... -> student, all but the teacher built alike and each drawn anew;
    the last of them is the run's student. Their ensemble answers with the mean of their
    probabilities.
    """

    def __init__(self, generations: Generations) -> None:
        self._generations = generations

    def stages(self, config: Config) -> list[Stage]:
        if config.student.init != "scratch":
            raise ConfigError([Fault("student.init", _ALIKE)])
        chain = [teacher_stage(config)]
        for number in range(1, self._generations):
            chain.append(_generation(config, number, chain[-1]))
        last = student_stage(config, chain[-1:], config.loss)
        family = (*chain[1:], replace(last, seeded_as=_seed(self._generations)))
        together = [_ensemble(family)] if len(family) > 1 else []
        return [chain[0], *control_stages(config), *family, *together]


_ALIKE = "'teacher' would give all generations the same start; use student.init=scratch"


def _generation(config: Config, number: int, before: Stage) -> Train:
    name = f"generation{number}"
    return replace(
        student_stage(config, [before], config.loss),
        info=StageInfo(name, name, name, shared=True, reads=(before.info.name,)),
        stop=None,
        seeded_as=_seed(number),
    )


def _seed(number: int) -> str:
    """The first generation starts as the control does."""
    return f"student/generation{number}" if number > 1 else ""


def _ensemble(family: tuple[Stage, ...]) -> Gather:
    reads = tuple(stage.info.name for stage in family)
    return Gather(StageInfo("ensemble", "ensemble", "ensemble", False, reads), family, "student")
