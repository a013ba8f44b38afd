"""Which stages a config asks for, in their order."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdrun.core.config import Config, Recipe, StopWhen
from kdrun.stage.base import Place, Stage
from kdrun.stage.take import Take, artefact_folder
from kdrun.stage.train import Train

# A control is the student trained by the same recipe and seed, with a loss that has no teacher.
CONTROLS: dict[str, dict[str, Any]] = {"alone": {"name": "ce"}}


def plan_stages(config: Config) -> list[Stage]:
    """The stages that leave models, each after those it reads.

    Raises:
        UserError: the teacher is to be taken from where there is none.
    """
    controls = [_control(config, name) for name in config.controls]
    return [_teacher(config), *controls, _distill(config)]


def teacher_recipe(config: Config) -> Recipe:
    """The run's recipe with the teacher's own keys in it."""
    return Recipe.model_validate({**config.recipe.model_dump(), **(config.teacher.recipe or {})})


def _teacher(config: Config) -> Stage:
    place = Place("teacher", "teacher", "teacher", shared=True)
    teacher = config.teacher
    if teacher.run:
        return Take(place, teacher, artefact_folder(Path(teacher.run)))
    if teacher.checkpoint:
        return Take(place, teacher, Path(teacher.checkpoint))
    return Train(
        place,
        role="teacher",
        network=teacher,
        loss={"name": "ce"},
        recipe=teacher_recipe(config),
        init=teacher.weights or "scratch",
    )


def _control(config: Config, name: str) -> Stage:
    reads = ("teacher",) if config.student.init == "teacher" else ()
    return _student(config, Place(name, name, name, shared=True, reads=reads), CONTROLS[name], None)


def _distill(config: Config) -> Stage:
    stop = config.stop.when
    reads = ("teacher", "alone") if stop is not None and stop.of == "alone" else ("teacher",)
    place = Place("distill", "student", "distilled", shared=False, reads=reads)
    return _student(config, place, config.loss, stop)


def _student(config: Config, place: Place, loss: Mapping[str, Any], stop: StopWhen | None) -> Stage:
    return Train(
        place,
        role="student",
        network=config.student,
        loss=loss,
        recipe=config.recipe,
        init=config.student.init,
        frozen=tuple(config.student.freeze),
        stop=stop,
    )
