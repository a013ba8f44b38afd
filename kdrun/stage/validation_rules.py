"""Rules on validation scores: when a student is good enough, and which teacher is too weak."""

from collections.abc import Callable, Sequence
from typing import Any

from kdrun.core.config import StopWhen
from kdrun.core.metrics import Metric
from kdrun.core.named_part import part_of
from kdrun.core.records.artefact import validation_score
from kdrun.dataset.data import Data
from kdrun.measure.metrics import Scores
from kdrun.stage.base import Stage, StageContext


def weak_teacher_warnings(teachers: Sequence[Stage], context: StageContext) -> list[str]:
    """Return a warning for each teacher with a worse validation score than the control.

    A score that is worse by less than its 95 % interval is no reason for a warning.

    Args:
        teachers: the stages of the teachers.
        context: the artefacts of the stages before this one, and the data.
    """
    alone = context.artefacts.get("alone")
    if alone is None:
        return []
    task, samples = context.data.task, context.data.validation.size
    metric = task.leading()
    control_score = validation_score(alone.record, metric.name)
    records = {stage.info.name: context.artefacts[stage.info.name].record for stage in teachers}
    scores = {
        name: validation_score(record, metric.name)
        for name, record in records.items()
        if record["data"]["classes"] == alone.record["data"]["classes"]
    }
    return [
        f"{name} is worse on validation ({metric.text(score)}) than the student alone"
        f" ({metric.text(control_score)}): train it longer, or take another"
        for name, score in scores.items()
        if metric.sign * (control_score - score)
        > (part_of(task.half_width)(score, samples) if task.half_width else 0)
    ]


def stop_identity(rule: StopWhen | None, data: Data) -> dict[str, Any] | None:
    """Return what a stop rule is, for fingerprints, with the name of the score that it reads."""
    if rule is None:
        return None
    return {**rule.model_dump(), "metric": _metric(rule, data).name}


def _metric(rule: StopWhen, data: Data) -> Metric:
    return data.task.scores[rule.metric] if rule.metric else data.task.leading()


def good_enough(rule: StopWhen | None, context: StageContext) -> Callable[[Scores], bool] | None:
    """Return a function that tests validation scores by the config's rule; None without a rule."""
    if rule is None:
        return None
    metric = _metric(rule, context.data)
    if rule.of is not None and rule.within is not None:
        other = validation_score(context.artefacts[rule.of].record, metric.name)
        required = other - metric.sign * rule.within
    else:
        required = rule.reaches or 0.0
    return lambda scores: metric.sign * scores[metric.name] >= metric.sign * required
