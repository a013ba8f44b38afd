"""Concept distillation: each class of the student, a concept, merges classes of the teacher."""

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
        student: the loss of the config, with p' as the teacher's probabilities

    Paper:
        none; the sums are the probabilities of the merged events

    Needs:
        - a concept map, scheme.map
        - a loss that reads the teacher's logits or features, not its classifier

    Notes:
        - The teacher learns all classes; student and controls learn the concepts alone.
        - Samples whose class is in no concept are left out of the student's data; apart from that
          student and teacher have the same splits.
        - Every row is tested on the student's test split; the teacher's probabilities are summed
          by the same formula.
        - T is the temperature of the loss; in a sum of losses each term uses its own temperature. A
          loss without a temperature uses 1.
        - The control sees concept labels only, so the teacher's finer labels are knowledge that
          only the distilled student gets.

    Args:
        map: name of each concept -> the names or indices of its classes.
    """

    def __init__(self, map: ConceptMap) -> None:  # noqa: A002 - the key in the config
        self.map = map

    def datasets(self, config: Config, data: Data) -> dict[str, Data]:
        if config.stop.when is not None and config.stop.when.of == "teacher":
            message = (
                "of 'teacher' compares concepts with its own classes; use reaches, or of 'alone'"
            )
            raise ConfigError([Fault("stop.when", message)])
        if not isinstance(self.map, dict):
            raise ConfigError([Fault("scheme.map", f"{self.map!r} is no mapping of concepts")])
        return {MAIN: merge_classes(data, self.map, "scheme.map"), ALL_CLASSES: data}

    def data_of(self, role: str) -> str:
        return ALL_CLASSES if role == "teacher" else MAIN

    def stages(self, config: Config) -> list[Stage]:
        teacher = teacher_stage(config, ALL_CLASSES)
        loss = {"name": "merged_teacher", "loss": config.loss}
        return [teacher, *control_stages(config), student_stage(config, [teacher], loss)]
