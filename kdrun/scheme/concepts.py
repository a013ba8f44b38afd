"""Concept distillation: the student has fewer classes, each of several of the teacher's."""

from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from kdrun.core.config import Config
from kdrun.core.errors import ConfigError, Fault
from kdrun.dataset.data import Data
from kdrun.dataset.merged_classes import merge_classes
from kdrun.scheme.base import Scheme, control_stages, student_stage, teacher_stage
from kdrun.stage.base import MAIN, Stage

ALL_CLASSES = "whole"  # the name of the dataset with all its classes


def _check_map(value: Any) -> Any:
    is_map = isinstance(value, dict) and all(
        isinstance(classes, list)
        and all(isinstance(name, str | int) and not isinstance(name, bool) for name in classes)
        for classes in value.values()
    )
    if is_map or value is None or isinstance(value, str):
        return value
    raise PydanticCustomError(
        "concepts", "should be a map's name, a file, or a mapping like {CONCEPT: [CLASS, CLASS]}"
    )


ConceptMap = Annotated[dict[str, Any] | str | None, BeforeValidator(_check_map)]


class Concepts(Scheme):
    """Concepts: the teacher learns all classes, the student merged ones.

    Formula:
        p'(concept) = sum of p(class) over the concept's classes / sum over all concepts' classes
        p = softmax(z_t / T)
        student: the loss of the config, with p' for the teacher

    Paper:
        none; the sums are the probabilities of the merged events

    Needs:
        - a concept map, scheme.map
        - a loss that reads the teacher's logits or features, not its classifier

    Notes:
        - The teacher learns all classes; student and controls learn the concepts alone.
        - Samples of classes in no concept leave the student's data; all splits stay those of the
          teacher.
        - Every row is tested on the student's test split, the teacher through the same sums.
        - T is the temperature of the loss, in a sum of losses that of each term; 1 where it has
          none.
        - The control sees concept labels only, so the teacher's finer labels are knowledge that
          only the distilled student gets.

    Args:
        map: concept -> its classes, by name or index.
    """

    def __init__(self, map: ConceptMap) -> None:  # noqa: A002 - the key in the config
        self.map = map

    def datasets(self, config: Config, data: Data) -> dict[str, Data]:
        if config.stop.when is not None and config.stop.when.of == "teacher":
            what = "of 'teacher' compares concepts with its own classes; use reaches, or of 'alone'"
            raise ConfigError([Fault("stop.when", what)])
        if not isinstance(self.map, dict):
            raise ConfigError([Fault("scheme.map", f"{self.map!r} is no mapping of concepts")])
        return {MAIN: merge_classes(data, self.map, "scheme.map"), ALL_CLASSES: data}

    def data_of(self, role: str) -> str:
        return ALL_CLASSES if role == "teacher" else MAIN

    def stages(self, config: Config) -> list[Stage]:
        teacher = teacher_stage(config, ALL_CLASSES)
        loss = {"name": "merged_teacher", "loss": config.loss}
        return [teacher, *control_stages(config), student_stage(config, [teacher], loss)]
