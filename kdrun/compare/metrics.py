"""What is compared, by the names that `--metric` takes: where each stands in a row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kdrun.compare.number_format import Row, count, milliseconds, nats, percent
from kdrun.core.unknown import unknown_name


@dataclass(frozen=True)
class Metric:
    """A figure of a row.

    Attributes:
        title: of its column, in two lines.
        said: what it is called in sentences.
        better: `more`, `less`, or nothing where neither is.
        split: test or validation; empty of what no sample is needed for.
        of: the figure of a row; None where it has none. Takes the epoch that the row's weights
            are of, last or best.
        shown: as text.
        unit: what a difference is counted in.
        factor: of a figure to that unit.
    """

    title: str
    said: str
    better: str
    split: str
    of: Callable[[Row, str], float | None]
    shown: Callable[[float], str]
    unit: str = "points"
    factor: float = 100

    def clipped(self, low: float, high: float) -> tuple[float, float]:
        """An interval of the figure; a share has none beyond 0 and 1."""
        return (max(low, 0.0), min(high, 1.0)) if self.factor > 1 else (low, high)

    def between(self, low: float, high: float) -> str:
        """The same as text."""
        low, high = self.clipped(low, high)
        return f"{self.shown(low)} to {self.shown(high)}"


def metric(name: str) -> Metric:
    """The metric of a name.

    Raises:
        UserError: there is none.
    """
    if name not in METRICS:
        raise unknown_name("metric", name, METRICS)
    return METRICS[name]


def _at(*keys: str) -> Callable[[Row, str], float | None]:
    def of(row: Row, _: str) -> float | None:
        node: Any = row
        for key in keys:
            node = node.get(key) if isinstance(node, Mapping) else None
        return node if isinstance(node, int | float) else None

    return of


def _of_epoch(own: str, plain: Callable[..., Any], *best: str) -> Callable[[Row, str], Any]:
    """A figure of one of the two epochs: the row's own, if its weights are of that epoch."""
    beside = _at("best", *best)

    def of(row: Row, epoch: str) -> float | None:
        if epoch == own:
            return plain(row, epoch)
        return beside(row, epoch) if own == "best" else None

    return of


_TOP1, _VALIDATION = _at("accuracy"), _at("validation", "accuracy")
_LAST, _BEST = "last", "best"

METRICS = {
    "accuracy": Metric(
        "top-1 %\nlast", "top-1 of the last epoch", "more", "test", _of_epoch(_LAST, _TOP1), percent
    ),
    "best_accuracy": Metric(
        "top-1 %\nbest",
        "top-1 of the best epoch by validation",
        "more",
        "test",
        _of_epoch(_BEST, _TOP1, "accuracy"),
        percent,
    ),
    "validation": Metric(
        "valid. %\nlast",
        "validation top-1 of the last epoch",
        "more",
        "validation",
        _of_epoch(_LAST, _VALIDATION),
        percent,
    ),
    "best_validation": Metric(
        "valid. %\nbest",
        "validation top-1 of the best epoch",
        "more",
        "validation",
        _of_epoch(_BEST, _VALIDATION, "validation"),
        percent,
    ),
    "f1": Metric("F1\n%", "macro F1", "more", "test", _at("f1"), percent),
    "nll": Metric("NLL\n", "NLL", "less", "test", _at("nll"), nats, "nats", 1),
    "ece": Metric("ECE\n%", "ECE", "less", "test", _at("ece"), percent),
    "agreement": Metric(
        "agrees\n%", "agreement with the teacher", "", "test", _at("agreement"), percent
    ),
    "bytes": Metric("disk\nbytes", "bytes", "less", "", _at("bytes"), count, "bytes", 1),
    "macs": Metric("MACs\n", "MACs", "less", "", _at("macs"), count, "MACs", 1),
    "parameters": Metric(
        "para-\nmeters", "parameters", "less", "", _at("parameters"), count, "parameters", 1
    ),
    "latency": Metric(
        "median\nms", "latency", "less", "", _at("latency", "median_ms"), milliseconds, "ms", 1
    ),
}
