"""The metrics that runs can be compared by, under the names that `--metric` takes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kdrun.core.metrics import AGREEMENT, COSTS, Better, Metric, Unit
from kdrun.core.records.summary import Row, score_of
from kdrun.task import task_of
from kdrun.task.base import Task

LAST, BEST = "last", "best"  # the last epoch, and the best one on validation

Read = Callable[[Row, str], float | None]  # (row, epoch of the row's weights) -> value


@dataclass(frozen=True)
class RowMetric:
    """A metric of a row of the results table.

    Attributes:
        name: the name that `--metric` takes.
        metric: the metric, with a title and a label that name the epoch and the split.
        split: test or validation; empty for a cost.
        read: returns the row's value, or None if it has none.
        epoch: last or best; empty for the epoch whose weights the row has.
    """

    name: str
    metric: Metric
    split: str
    read: Read
    epoch: str = ""

    @property
    def title(self) -> str:
        return self.metric.title

    @property
    def label(self) -> str:
        return self.metric.label

    @property
    def unit(self) -> Unit:
        return self.metric.unit

    @property
    def better(self) -> Better:
        return self.metric.better

    @property
    def sign(self) -> int:
        """1 if more is better, -1 if less is."""
        return self.metric.sign

    def text(self, value: float) -> str:
        """Return a value in the unit of tables, without the unit's sign."""
        return self.unit.text(value)

    def clip(self, low: float, high: float) -> tuple[float, float]:
        """Clip the ends of an interval to 0..1 if the metric is a share."""
        return (max(low, 0.0), min(high, 1.0)) if self.unit.factor > 1 else (low, high)

    def interval_text(self, low: float, high: float) -> str:
        low, high = self.clip(low, high)
        return f"{self.text(low)} to {self.text(high)}"


RowMetrics = Mapping[str, RowMetric]


def _score(name: str) -> Read:
    return lambda row, _: score_of(row, name)


def _latency(row: Row, _: str) -> float | None:
    return row["latency"]["median_ms"] if row["latency"] else None


def _at_epoch(wanted: str, read: Read, name_in_best: str) -> Read:
    """Return a function that reads a row's value for one epoch.

    If the row's weights are of that epoch, it is the value of the row itself. Otherwise the best
    epoch's value is in the record `best` of the row, and that of the last epoch is not known.

    Args:
        wanted: the epoch: last or best.
        read: reads the value of the row itself.
        name_in_best: the key of the value in the row's `best`.
    """

    def at_epoch(row: Row, epoch: str) -> float | None:
        if epoch == wanted:
            return read(row, epoch)
        return score_of(row.get("best", {}), name_in_best) if wanted == BEST else None

    return at_epoch


def _leading_by_epoch(metric: Metric) -> Iterator[RowMetric]:
    """Yield the leading metric on both splits, of the last and of the best epoch."""
    short_title = metric.title.replace("\n", " ")

    def validation(row: Row, _: str) -> float | None:
        return score_of(row.get("validation") or {}, metric.name)

    on_test = {
        LAST: (metric.name, f"{metric.label} of the last epoch"),
        BEST: (f"best_{metric.name}", f"{metric.label} of the best epoch by validation"),
    }
    for epoch, (name, label) in on_test.items():
        metric_at_epoch = replace(metric, title=f"{short_title}\n{epoch}", label=label)
        read = _at_epoch(epoch, _score(metric.name), metric.name)
        yield RowMetric(name, metric_at_epoch, "test", read, epoch)
    for epoch, name in ((LAST, "validation"), (BEST, "best_validation")):
        label = f"validation {metric.label} of the {epoch} epoch"
        metric_at_epoch = replace(metric, title=f"valid.{metric.unit.sign}\n{epoch}", label=label)
        read = _at_epoch(epoch, validation, "validation")
        yield RowMetric(name, metric_at_epoch, "validation", read, epoch)


def _row_metrics(task: Task) -> Iterator[RowMetric]:
    leading = task.leading()
    yield from _leading_by_epoch(leading)
    for metric in (*task.scores.values(), AGREEMENT):
        if metric.compared and metric != leading:
            yield RowMetric(metric.name, metric, "test", _score(metric.name))
    for metric in COSTS.values():
        read = _latency if metric.name == "latency" else _score(metric.name)
        yield RowMetric(metric.name, metric, "", read)


def metrics_of(summary: Mapping[str, Any]) -> RowMetrics:
    """Return the metrics of the task in a record of a run: name -> metric."""
    return {metric.name: metric for metric in _row_metrics(task_of(summary))}


def leading_at(metrics: RowMetrics, epoch: str, split: str = "test") -> RowMetric:
    """Return the leading metric of the last or the best epoch, on a split."""
    return next(
        metric for metric in metrics.values() if (metric.epoch, metric.split) == (epoch, split)
    )
