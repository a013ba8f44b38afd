"""Ending a search's trial that does worse than those before it."""

from collections.abc import Sequence
from pathlib import Path

from kdrun.core.errors import Pruned
from kdrun.core.metrics import leading
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.records.summary import score_of
from kdrun.core.store import METRICS
from kdrun.engine.watch import Record, Watch

_STUDENT = ("distill", "main", "validation")


def pruning(watch: Watch, bars: Sequence[float | None], stage: Path) -> Watch:
    """The same watch, which ends the student's training at the first bar that it does not reach.

    What counts is the best epoch so far, read from the stage's own record: a resumed trial is
    pruned where an uninterrupted one is.

    Args:
        watch: what else is done with measurements.
        bars: validation accuracy in 0..1 to have reached after each epoch; None asks for nothing.
        stage: the folder in which the student is trained.
    """

    def look(record: Record) -> None:
        watch(record)
        if not _is_students(record) or record["epoch"] > len(bars):
            return
        bar, metric = bars[record["epoch"] - 1], leading()
        best = max([*student_curve(stage), record[metric.name]], key=metric.merit)
        if bar is not None and metric.merit(best) < metric.merit(bar):
            raise Pruned(
                f"pruned after epoch {record['epoch']}: validation {metric.name} {best:.2%} is"
                f" {'below' if metric.better == 'more' else 'above'} {bar:.2%}, the median of the"
                " trials before."
            )

    return look


def student_curve(stage: Path) -> list[float]:
    """The student's validation accuracy in 0..1 after each epoch; empty where there is none."""
    lines = MetricsLog(stage / METRICS).read()
    scores = [score_of(line, leading().name) for line in lines if _is_students(line)]
    return [score for score in scores if score is not None]


def _is_students(record: Record) -> bool:
    return (record["stage"], record["phase"], record["split"]) == _STUDENT
