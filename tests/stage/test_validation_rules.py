"""Rules on validation scores."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from kdrun.stage.validation_rules import weak_teacher_warnings
from kdrun.task.classification import CLASSIFICATION


@pytest.mark.parametrize(("samples", "warned"), [(90, False), (5000, True)])
def test_a_teacher_is_weak_if_more_than_chance_parts_it_from_the_control(samples, warned):
    def artefact(accuracy: float) -> Any:
        record = {"validation": {"accuracy": accuracy}, "data": {"classes": ["a", "b"]}}
        return SimpleNamespace(record=record)

    teacher = cast("Any", SimpleNamespace(info=SimpleNamespace(name="teacher")))
    artefacts = {"teacher": artefact(0.85), "alone": artefact(0.87)}
    data = SimpleNamespace(task=CLASSIFICATION, validation=SimpleNamespace(size=samples))
    context = cast("Any", SimpleNamespace(artefacts=artefacts, data=data))
    warnings = weak_teacher_warnings([teacher], context)
    assert len(warnings) == warned
    assert all("teacher is worse on validation (85.00%)" in warning for warning in warnings)
