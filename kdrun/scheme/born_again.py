"""Born-again networks."""

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
    """Born again: generations of a network, and an ensemble.

    Formula:
        teacher -> generation1 -> ... -> generationN, the last of which is the student of the run
        each learns from the network before it, by the loss of the config, from new weights
        ensemble: mean_n p_n

    Paper:
        Furlanello et al. 2018, Born Again Neural Networks, arXiv:1805.04770

    Needs:
        - a teacher; in the paper it is built like the student

    Notes:
        - The paper's teacher is built like the student; to repeat the paper, choose the same model
          for both.
        - Each generation is trained by the full recipe; the control is trained once, as long as
          one generation.
        - The ensemble costs as much at test time as all generations together.
        - The default number of generations was recalled from the paper, not checked.
    """

    def __init__(self, generations: Generations) -> None:
        self._generations = generations

    def stages(self, config: Config) -> list[Stage]:
        if config.student.init != "scratch":
            problem = "'teacher' would give all generations the same start"
            raise ConfigError([Fault("student.init", f"{problem}; use student.init=scratch")])
        chain = [teacher_stage(config)]
        for number in range(1, self._generations):
            chain.append(_generation(config, number, chain[-1]))
        last = student_stage(config, chain[-1:], config.loss)
        generations = (*chain[1:], replace(last, seeded_as=_seed(self._generations)))
        ensemble = [_ensemble(generations)] if len(generations) > 1 else []
        return [chain[0], *control_stages(config), *generations, *ensemble]


def _generation(config: Config, number: int, teacher: Stage) -> Train:
    name = f"generation{number}"
    return replace(
        student_stage(config, [teacher], config.loss),
        info=StageInfo(name, name, name, shared=True, reads=(teacher.info.name,)),
        stop=None,
        seeded_as=_seed(number),
    )


def _seed(number: int) -> str:
    """Return the name that seeds a generation's weights; empty: the same seed as the control."""
    return f"student/generation{number}" if number > 1 else ""


def _ensemble(generations: tuple[Stage, ...]) -> Gather:
    reads = tuple(stage.info.name for stage in generations)
    info = StageInfo("ensemble", "ensemble", "ensemble", shared=False, reads=reads)
    return Gather(info, generations, "student")
