"""The plain scheme, and the functions that build the stages of other schemes."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdrun.core.config import Config, Network, Recipe, StopWhen
from kdrun.core.folder import STUDENT_FOLDER, STUDENT_ROW, STUDENT_STAGE
from kdrun.dataset.data import Data
from kdrun.loss.table import build_loss
from kdrun.stage.base import MAIN, Stage, StageInfo
from kdrun.stage.given_teacher import GivenTeacher, artefact_folder
from kdrun.stage.train import Train

# A control is the student trained by the same recipe and seed, with a loss that has no teacher.
CONTROLS: dict[str, dict[str, Any]] = {"alone": {"name": "ce"}}


class Scheme:
    """One teacher, the controls, one distilled student.

    Other schemes override its methods. The keyword arguments of a scheme's constructor are the keys
    of its config node.

    Formula:
        teacher: CE; each control: the student with CE
        student: the loss of the config, with the teacher

    Paper:
        none

    Needs:
        - a dataset
        - a teacher, trained in the run or taken from another run

    Notes:
        - Control and student have the same recipe and seed, so a run shows their difference for one
          seed alone.
    """

    def networks(self, config: Config) -> dict[str, Network]:
        """Return the config of every network to build, by its role: its key in the config."""
        return {"teacher": config.teacher, "student": config.student}

    def datasets(self, config: Config, data: Data) -> dict[str, Data]:
        """Return the datasets that stages are trained and tested on, by name.

        Args:
            config: the config of the run.
            data: the dataset of the config.

        Raises:
            ConfigError: the scheme's settings don't fit the dataset.
        """
        return {MAIN: data}

    def data_of(self, role: str) -> str:
        """Return the name of the dataset that a network is built for and trained on."""
        return MAIN

    def stages(self, config: Config) -> list[Stage]:
        """Return the stages that make models; each comes after the stages whose artefacts it reads.

        Raises:
            UserError: the teacher's run or checkpoint is missing.
        """
        teacher = teacher_stage(config)
        student = student_stage(config, [teacher], self.loss(config))
        return [teacher, *control_stages(config), student]

    def loss(self, config: Config) -> Mapping[str, Any]:
        """Return the config node of the student's loss: `config.loss`, or a wrapper around it."""
        return config.loss


def teacher_recipe(config: Config) -> Recipe:
    """Return the recipe of the run, overridden by the keys of `teacher.recipe`."""
    return Recipe.model_validate({**config.recipe.model_dump(), **(config.teacher.recipe or {})})


def teacher_stage(config: Config, data: str = MAIN) -> Stage:
    """Return the stage that trains the teacher or takes it from a run or a file.

    Args:
        config: the config of the run.
        data: the name of the dataset that the teacher is trained on.

    Raises:
        UserError: the run or file is missing.
    """
    info = StageInfo("teacher", "teacher", "teacher", shared=True, data=data)
    teacher = config.teacher
    if teacher.run:
        return GivenTeacher(info, teacher, artefact_folder(Path(teacher.run)))
    if teacher.checkpoint:
        return GivenTeacher(info, teacher, Path(teacher.checkpoint), teacher.checkpoint_key)
    return Train(
        info,
        role="teacher",
        network=teacher,
        loss={"name": "ce"},
        recipe=teacher_recipe(config),
        init=teacher.weights or "scratch",
    )


def control_stages(config: Config) -> list[Stage]:
    """Return the stages that train the controls, with which the distilled student is compared."""
    reads = ("teacher",) if config.student.init == "teacher" else ()
    return [
        _student(config, StageInfo(name, name, name, shared=True, reads=reads), CONTROLS[name])
        for name in config.controls
    ]


def student_stage(
    config: Config, teachers: list[Stage], loss: Mapping[str, Any], data: str = MAIN
) -> Train:
    """Return the stage that distills the student.

    Args:
        config: the config of the run.
        teachers: the stages whose networks the student learns from.
        loss: the config node of the student's loss: `config.loss`, or a wrapper around it.
        data: the name of the dataset that the student is trained on.
    """
    stop = config.stop.when
    reads = [stage.info.name for stage in teachers]
    if config.student.init == "teacher":
        reads.append("teacher")
    if stop is not None and stop.of == "alone":
        reads.append("alone")
    compressed = bool(config.compress.steps) and config.compress.of == "student"
    info = StageInfo(
        STUDENT_STAGE,
        STUDENT_FOLDER,
        STUDENT_ROW,
        shared=compressed,
        reads=tuple(dict.fromkeys(reads)),
        data=data,
    )
    stage = _student(config, info, loss, tuple(teachers), stop)
    if not teachers:
        return stage
    student = config.student
    node = build_loss(loss).student_node(student.node, teachers[0].network.node)
    if node == student.node:
        return stage
    return replace(stage, network=Network.model_validate({**node, "taps": student.taps}))


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
        layers=tuple(config.student.layers or ()),
        lora=config.student.lora,
        frozen=tuple(config.student.freeze),
        stop=stop,
    )
