"""Charts of a metric against bytes, multiply-accumulates and latency, with the Pareto front."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kdrun.compare.metrics import RowMetric
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.palette import SERIES_COLORS
from kdrun.compare.report.scatter_chart import Point, scatter_chart
from kdrun.compare.seed_means import FRONT_COSTS, TableLine
from kdrun.core.number_format import count
from kdrun.core.records.summary import half_width_key, score_of

_TITLES = {  # cost -> its name in the title of its chart, label of its axis
    "bytes": ("size", "bytes on disk"),
    "macs": ("work", "multiply-accumulates a sample"),
    "latency": ("latency", "median ms a batch"),
}


class LegendName(NamedTuple):
    """The name of a model in the legend, and the number of its color."""

    name: str
    color: int


def cost_charts(
    lines: Sequence[TableLine], colored: Mapping[int, LegendName], metric: RowMetric, interval: str
) -> list[Figure]:
    """Draw a chart for each cost in which the models differ.

    Args:
        lines: lines of a table of settings; each is a model.
        colored: index of a line -> its name and color; the other lines are grey.
        metric: the metric of the value axis, measured on the test split.
        interval: what the intervals cover, as the end of a sentence.
    """
    charts = []
    for cost in FRONT_COSTS:
        points = _points(lines, colored, metric, cost)
        if len({point.cost for point in points}) > 1 or len(points) > 2:
            name, axis = _TITLES[cost]
            title = f"{metric.metric.heading} and {name}"
            note = f"Test split; lines: 95 % intervals {interval}. A ring marks the Pareto front."
            others = sorted({line.runtime for line in lines if line.runtime} - {_runtime(lines)})
            if cost == "latency" and others:
                note += f" Hollow: timed in {', '.join(others)}, not compared with the others."
            labels = (axis, f"{metric.label}, {metric.unit.sign.strip()}")
            charts.append(scatter_chart(f"cost-{cost}", title, points, labels, note))
    return charts


def _points(
    lines: Sequence[TableLine], colored: Mapping[int, LegendName], metric: RowMetric, cost: str
) -> list[Point]:
    """Return a point for each line that has both the metric and the cost, ordered by color."""
    runtime = _runtime(lines)
    points = []
    for index, line in enumerate(lines):
        if not {metric.name, cost} <= line.estimates.keys() or not line.estimates[cost].mean:
            continue
        name, color = colored.get(index, LegendName(line.model, SERIES_COLORS))
        mean = line.estimates[cost].mean
        hollow = cost == "latency" and line.runtime != runtime
        points.append(
            Point(
                name,
                mean,
                metric.unit.factor * line.estimates[metric.name].mean,
                color,
                _interval(line, metric),
                front=cost in line.fronts and not hollow,
                hollow=hollow,
                cost_text=count(mean) if cost != "latency" else None,
            )
        )
    return sorted(points, key=lambda point: point.color)


def _interval(line: TableLine, metric: RowMetric) -> tuple[float, float] | None:
    """Return the interval over the seeds; with one seed, the interval over the test samples."""
    estimate, factor = line.estimates[metric.name], metric.unit.factor
    interval = estimate.interval
    half_width = score_of(next(iter(line.rows.values())), half_width_key(metric.name))
    if interval is None and half_width is not None:
        interval = estimate.mean - half_width, estimate.mean + half_width
    if interval is None:
        return None
    low, high = metric.clip(*interval)
    return factor * low, factor * high


def _runtime(lines: Sequence[TableLine]) -> str:
    """Return the runtime (such as PyTorch or ONNX) in which most lines were timed."""
    runtimes = [line.runtime for line in lines if line.runtime]
    return max(dict.fromkeys(runtimes), key=runtimes.count, default="")
