"""The plain plan, of which the others are made: teacher, controls, distilled student."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdrun.core.config import Config, Network, Recipe, StopWhen
from kdrun.core.folder import STUDENT_FOLDER, STUDENT_ROW, STUDENT_STAGE
from kdrun.dataset.data import Data
from kdrun.loss.table import build_loss
from kdrun.stage.base import MAIN, Stage, StageInfo
from kdrun.stage.given_teacher import Take, artefact_folder
from kdrun.stage.train import Train

# A control is the student trained by the same recipe and seed, with a loss that has no teacher.
CONTROLS: dict[str, dict[str, Any]] = {"alone": {"name": "ce"}}


class Scheme:
    """A run's networks and the stages that train them; this one is the plain teacher and student.

    The keyword arguments of a scheme's constructor are the keys of its config node.
    """

    def networks(self, config: Config) -> dict[str, Network]:
        """Every network that is built, by its place in the config; a stage's `role` is one."""
        return {"teacher": config.teacher, "student": config.student}

    def datasets(self, config: Config, data: Data) -> dict[str, Data]:
        """What the stages work with, by the names that their places have for it.

        Args:
            config: the run's.
            data: what its dataset is.

        Raises:
            ConfigError: the scheme's settings don't fit the dataset.
        """
        return {MAIN: data}

    def data_of(self, role: str) -> str:
        """The name of the dataset that a network is built for and trained on."""
        return MAIN

    def stages(self, config: Config) -> list[Stage]:
        """The stages that leave models, each after those it reads.

        Raises:
            UserError: the teacher is to be taken from where there is none.
        """
        teacher = teacher_stage(config)
        return [teacher, *control_stages(config), student_stage(config, [teacher], config.loss)]


def teacher_recipe(config: Config) -> Recipe:
    """The run's recipe with the teacher's own keys in it."""
    return Recipe.model_validate({**config.recipe.model_dump(), **(config.teacher.recipe or {})})


def teacher_stage(config: Config, data: str = MAIN) -> Stage:
    """The teacher: trained on that dataset, or taken from a run or a file.

    Raises:
        UserError: it is to be taken from where there is none.
    """
    info = StageInfo("teacher", "teacher", "teacher", shared=True, data=data)
    teacher = config.teacher
    if teacher.run:
        return Take(info, teacher, artefact_folder(Path(teacher.run)))
    if teacher.checkpoint:
        return Take(info, teacher, Path(teacher.checkpoint))
    return Train(
        info,
        role="teacher",
        network=teacher,
        loss={"name": "ce"},
        recipe=teacher_recipe(config),
        init=teacher.weights or "scratch",
    )


def control_stages(config: Config) -> list[Stage]:
    """What the distilled student is held against."""
    reads = ("teacher",) if config.student.init == "teacher" else ()
    return [
        _student(config, StageInfo(name, name, name, shared=True, reads=reads), CONTROLS[name])
        for name in config.controls
    ]


def student_stage(
    config: Config, teachers: list[Stage], loss: Mapping[str, Any], data: str = MAIN
) -> Train:
    """The distilled student.

    Args:
        config: the run's.
        teachers: the stages whose networks it learns from.
        loss: the node of the whole loss: the config's, or one around it.
        data: the name of the dataset that it learns from.
    """
    stop = config.stop.when
    reads = [stage.info.name for stage in teachers]
    if config.student.init == "teacher":
        reads.append("teacher")
    if stop is not None and stop.of == "alone":
        reads.append("alone")
    compressed = bool(config.compress.steps) and config.compress.of == "student"
    info = StageInfo(
        STUDENT_STAGE, STUDENT_FOLDER, STUDENT_ROW, compressed, tuple(dict.fromkeys(reads)), data
    )
    plain = _student(config, info, loss, tuple(teachers), stop)
    if not teachers:
        return plain
    own = config.student
    node = build_loss(loss).student_node(own.node, teachers[0].network.node)
    if node == own.node:
        return plain
    return replace(plain, network=Network.model_validate({**node, "taps": own.taps}))


def _student(
    config: Config,
    info: StageInfo,
    loss: Mapping[str, Any],
    teachers: tuple[Stage, ...] = (),
    stop: StopWhen | None = None,
) -> Train:
    return Train(
        info,
        role="student",
        network=config.student,
        loss=loss,
        recipe=config.recipe,
        teachers=teachers,
        init=config.student.init,
        frozen=tuple(config.student.freeze),
        stop=stop,
    )
