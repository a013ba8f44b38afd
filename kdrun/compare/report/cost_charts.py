"""Charts of a metric against bytes, multiply-accumulates and latency, with the Pareto front."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kdrun.compare.metrics import METRICS
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.palette import SERIES_COLORS
from kdrun.compare.report.scatter_chart import Point, scatter_chart
from kdrun.compare.seed_means import FRONT_COSTS, TableLine
from kdrun.core.number_format import count

_TITLES = {  # cost -> title of its chart, label of its axis
    "bytes": ("Accuracy and size", "bytes on disk"),
    "macs": ("Accuracy and work", "multiply-accumulates an image"),
    "latency": ("Accuracy and latency", "median ms a batch"),
}


class LegendName(NamedTuple):
    """The name of a model in the legend, and the number of its color."""

    name: str
    color: int


def cost_charts(
    lines: Sequence[TableLine], colored: Mapping[int, LegendName], metric: str, interval: str
) -> list[Figure]:
    """Draw a chart for each cost in which the models differ.

    Args:
        lines: lines of a table of settings; each is a model.
        colored: index of a line -> its name and color; the other lines are grey.
        metric: name of the metric of the value axis, measured on the test split.
        interval: what the intervals cover, as the end of a sentence.
    """
    charts = []
    for cost in FRONT_COSTS:
        points = _points(lines, colored, metric, cost)
        if len({point.cost for point in points}) > 1 or len(points) > 2:
            title, axis = _TITLES[cost]
            note = f"Test split; lines: 95 % intervals {interval}. A ring marks the Pareto front."
            others = sorted({line.runtime for line in lines if line.runtime} - {_runtime(lines)})
            if cost == "latency" and others:
                note += f" Hollow: timed in {', '.join(others)}, not compared with the others."
            labels = (axis, f"{METRICS[metric].label}, %")
            charts.append(scatter_chart(f"cost-{cost}", title, points, labels, note))
    return charts


def _points(
    lines: Sequence[TableLine], colored: Mapping[int, LegendName], metric: str, cost: str
) -> list[Point]:
    """Return a point for each line that has both the metric and the cost, ordered by color."""
    runtime = _runtime(lines)
    points = []
    for index, line in enumerate(lines):
        if not {metric, cost} <= line.estimates.keys() or not line.estimates[cost].mean:
            continue
        name, color = colored.get(index, LegendName(line.model, SERIES_COLORS))
        mean = line.estimates[cost].mean
        hollow = cost == "latency" and line.runtime != runtime
        points.append(
            Point(
                name,
                mean,
                METRICS[metric].unit.factor * line.estimates[metric].mean,
                color,
                _interval(line, metric),
                front=cost in line.fronts and not hollow,
                hollow=hollow,
                cost_text=count(mean) if cost != "latency" else None,
            )
        )
    return sorted(points, key=lambda point: point.color)


def _interval(line: TableLine, metric: str) -> tuple[float, float] | None:
    """Return the interval over the seeds; with one seed, the interval over the test samples."""
    estimate, factor = line.estimates[metric], METRICS[metric].unit.factor
    if estimate.interval:
        low, high = METRICS[metric].clip(*estimate.interval)
        return factor * low, factor * high
    half_width = next(iter(line.rows.values())).get("accuracy_half_width")
    if metric != "accuracy" or half_width is None:
        return None
    return 100 * max(0.0, estimate.mean - half_width), 100 * min(1.0, estimate.mean + half_width)


def _runtime(lines: Sequence[TableLine]) -> str:
    """Return the runtime (such as PyTorch or ONNX) in which most lines were timed."""
    runtimes = [line.runtime for line in lines if line.runtime]
    return max(dict.fromkeys(runtimes), key=runtimes.count, default="")
