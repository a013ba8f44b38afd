"""Schemes in which the student never sees the dataset's images."""

from dataclasses import replace
from typing import Any

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from kdrun.core.config import Config
from kdrun.scheme.base import Scheme, control_stages, student_stage, teacher_stage
from kdrun.stage.base import Stage, StageInfo
from kdrun.stage.invert import Inversion, Invert


class Drawn(Scheme):
    """The student learns from images that a generator draws; see `kdrun.loss.data_free`."""

    around: dict[str, Any]

    def stages(self, config: Config) -> list[Stage]:
        teacher = teacher_stage(config)
        loss = {**self.around, "loss": config.loss}
        return [teacher, *control_stages(config), student_stage(config, [teacher], loss)]


class DAFL(Drawn):
    """Images that the teacher is sure of, of all classes, with much activity."""

    def __init__(
        self,
        latent: PositiveInt,
        rate: PositiveFloat,
        activation: NonNegativeFloat,
        entropy: NonNegativeFloat,
    ) -> None:
        self.around = {
            "name": "dafl",
            "latent": latent,
            "rate": rate,
            "activation": activation,
            "entropy": entropy,
        }


class ZSKT(Drawn):
    """Images on which student and teacher disagree."""

    def __init__(
        self, latent: PositiveInt, rate: PositiveFloat, student_steps: PositiveInt
    ) -> None:
        self.around = {
            "name": "zskt",
            "latent": latent,
            "rate": rate,
            "student_steps": student_steps,
        }


class DeepInversion(Scheme):
    """Images whose statistics are those that the teacher's batch norms remember."""

    def __init__(
        self,
        images: PositiveInt,
        batch_size: PositiveInt,
        iterations: PositiveInt,
        rate: PositiveFloat,
        norms: NonNegativeFloat,
        smoothness: NonNegativeFloat,
        size: NonNegativeFloat,
    ) -> None:
        self.how = Inversion(images, batch_size, iterations, rate, norms, smoothness, size)

    def stages(self, config: Config) -> list[Stage]:
        teacher = teacher_stage(config)
        info = StageInfo("images", "images", "", shared=True, reads=(teacher.info.name,))
        images = Invert(info, teacher, self.how)
        student = student_stage(config, [teacher], config.loss)
        reads = (*student.info.reads, info.name)
        student = replace(student, images=images, info=replace(student.info, reads=reads))
        return [teacher, images, *control_stages(config), student]
