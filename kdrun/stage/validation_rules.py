"""Rules on validation scores: when a student is good enough, and which teacher is too weak."""

from collections.abc import Callable, Mapping, Sequence

from kdrun.core.config import StopWhen
from kdrun.core.metrics import leading
from kdrun.core.records.artefact import validation_score
from kdrun.measure.intervals import half_width
from kdrun.measure.metrics import Scores
from kdrun.stage.artefact import Artefact
from kdrun.stage.base import Stage


def weak_teacher_warnings(
    teachers: Sequence[Stage], artefacts: Mapping[str, Artefact], samples: int
) -> list[str]:
    """Return a warning for each teacher with a worse validation score than the control.

    Args:
        teachers: the stages of the teachers.
        artefacts: the artefacts of the stages before this one.
        samples: number of validation samples. A score that is worse by less than its 95 % interval
            is no reason for a warning.
    """
    alone = artefacts.get("alone")
    if alone is None:
        return []
    metric = leading().name
    control_score = validation_score(alone.record, metric)
    records = {stage.info.name: artefacts[stage.info.name].record for stage in teachers}
    scores = {
        name: validation_score(record, metric)
        for name, record in records.items()
        if record["data"]["classes"] == alone.record["data"]["classes"]
    }
    return [
        f"{name} is worse on validation ({score:.2%}) than the student alone"
        f" ({control_score:.2%}): train it longer, or take another"
        for name, score in scores.items()
        if control_score - score > half_width(score, samples)
    ]


def good_enough(
    rule: StopWhen | None, artefacts: Mapping[str, Artefact]
) -> Callable[[Scores], bool] | None:
    """Return a function that tests validation scores by the config's rule; None without a rule."""
    if rule is None:
        return None
    if rule.of is not None and rule.within is not None:
        required = validation_score(artefacts[rule.of].record, rule.metric) - rule.within
    else:
        required = rule.reaches or 0.0
    return lambda scores: scores[rule.metric] >= required
