"""Ends a trial of a search that is worse than most of the trials before it."""

from collections.abc import Sequence
from pathlib import Path

from kdrun.core.errors import TrialStopped
from kdrun.core.folder import STUDENT_STAGE
from kdrun.core.metrics import Metric
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.records.summary import score_of
from kdrun.core.store import METRICS
from kdrun.engine.watch import Record, Watch

_STUDENT_VALIDATION = (STUDENT_STAGE, "main", "validation")


def stop_hopeless_trial(
    watch: Watch, thresholds: Sequence[float | None], stage_folder: Path, metric: Metric
) -> Watch:
    """Return a watch that also ends the student's training when it misses a threshold.

    The best epoch so far is compared with the threshold. Earlier epochs are read from the stage's
    metrics, so that a resumed trial ends where an uninterrupted one does.

    Args:
        watch: called first with each record.
        thresholds: the validation score that each epoch must have reached; None if any will do.
        stage_folder: the folder of the stage that trains the student.
        metric: the leading metric.
    """

    def check(record: Record) -> None:
        watch(record)
        if not _is_student_validation(record) or record["epoch"] > len(thresholds):
            return
        threshold = thresholds[record["epoch"] - 1]
        best = metric.best([*student_curve(stage_folder, metric), record[metric.name]])
        if threshold is not None and metric.beats(threshold, best):
            raise TrialStopped(
                f"pruned after epoch {record['epoch']}: validation {metric.name}"
                f" {metric.text(best)} is {metric.worse} {metric.text(threshold)}, the median of"
                " the trials before."
            )

    return check


def student_curve(stage_folder: Path, metric: Metric) -> list[float]:
    """Return the student's validation scores by a metric, one for each finished epoch."""
    lines = MetricsLog(stage_folder / METRICS).read()
    scores = [score_of(line, metric.name) for line in lines if _is_student_validation(line)]
    return [score for score in scores if score is not None]


def _is_student_validation(record: Record) -> bool:
    return (record["stage"], record["phase"], record["split"]) == _STUDENT_VALIDATION
