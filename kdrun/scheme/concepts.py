"""Concept distillation: the teacher knows many classes, the student a few that join them."""

from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from kdrun.core.config import Config
from kdrun.core.errors import ConfigError, Fault
from kdrun.dataset.data import Data
from kdrun.dataset.merged_classes import merge_classes
from kdrun.scheme.base import Scheme, control_stages, student_stage, teacher_stage
from kdrun.stage.base import MAIN, Stage

WHOLE = "whole"  # the dataset with all its classes


def _concepts(value: Any) -> Any:
    whole = isinstance(value, dict) and all(
        isinstance(classes, list)
        and all(isinstance(one, str | int) and not isinstance(one, bool) for one in classes)
        for classes in value.values()
    )
    if whole or value is None or isinstance(value, str):
        return value
    raise PydanticCustomError(
        "concepts", "should be a map's name, a file, or a mapping like {CONCEPT: [CLASS, CLASS]}"
    )


ConceptMap = Annotated[dict[str, Any] | str | None, BeforeValidator(_concepts)]


class Concepts(Scheme):
    """The teacher learns all classes; student and controls learn, and all are tested on, concepts.

    Args:
        map: concept -> the classes that it joins, by name or index. A name is looked up before.
    """

    def __init__(self, map: ConceptMap) -> None:  # noqa: A002 - the key in the config
        self.map = map

    def datasets(self, config: Config, data: Data) -> dict[str, Data]:
        if config.stop.when is not None and config.stop.when.of == "teacher":
            what = "of 'teacher' compares concepts with its own classes; use reaches, or of 'alone'"
            raise ConfigError([Fault("stop.when", what)])
        if not isinstance(self.map, dict):
            raise ConfigError([Fault("scheme.map", f"{self.map!r} is no mapping of concepts")])
        return {MAIN: merge_classes(data, self.map, "scheme.map"), WHOLE: data}

    def data_of(self, role: str) -> str:
        return WHOLE if role == "teacher" else MAIN

    def stages(self, config: Config) -> list[Stage]:
        teacher = teacher_stage(config, WHOLE)
        loss = {"name": "merged_teacher", "loss": config.loss}
        return [teacher, *control_stages(config), student_stage(config, [teacher], loss)]
