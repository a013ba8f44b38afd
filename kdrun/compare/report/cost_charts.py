"""Charts of a metric against bytes, multiply-accumulates and latency, with the Pareto front."""

from collections.abc import Mapping, Sequence

from kdrun.compare.metrics import METRICS
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.palette import SERIES
from kdrun.compare.report.scatter_chart import Point, scatter_chart
from kdrun.compare.seed_means import COSTS, TableLine
from kdrun.core.number_format import count

_TITLES = {  # cost -> title of its chart, label of its axis
    "bytes": ("Accuracy and size", "bytes on disk"),
    "macs": ("Accuracy and work", "multiply-accumulates an image"),
    "latency": ("Accuracy and latency", "median ms a batch"),
}

Series = Mapping[int, tuple[str, int]]  # index of a table's line -> its name and color


def cost_charts(
    lines: Sequence[TableLine], series: Series, metric: str, interval: str
) -> list[Figure]:
    """A chart for each cost by which the models differ.

    Args:
        lines: of a table.
        series: the lines that have a color; the others are grey.
        metric: on the test split.
        interval: what the intervals cover, as the end of a sentence.
    """
    charts = []
    for cost in COSTS:
        points = _points(lines, series, metric, cost)
        if len({point.cost for point in points}) > 1 or len(points) > 2:
            title, axis = _TITLES[cost]
            note = f"Test split; lines: 95 % intervals {interval}. Ringed: on the Pareto front."
            others = sorted({line.runtime for line in lines if line.runtime} - {_runtime(lines)})
            if cost == "latency" and others:
                note += f" Hollow: timed in {', '.join(others)}, not compared with the others."
            labels = (axis, f"{METRICS[metric].label}, %")
            charts.append(scatter_chart(f"cost-{cost}", title, points, labels, note))
    return charts


def _points(lines: Sequence[TableLine], series: Series, metric: str, cost: str) -> list[Point]:
    """The lines that have both the metric and the cost, ordered by color."""
    runtime = _runtime(lines)
    points = []
    for index, line in enumerate(lines):
        if not {metric, cost} <= line.estimates.keys() or not line.estimates[cost].mean:
            continue
        name, color = series.get(index, (line.model, SERIES))
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
    """The interval over the seeds; with one seed, that of its accuracy over the test samples."""
    mean, factor = line.estimates[metric], METRICS[metric].unit.factor
    if mean.low is not None and mean.high is not None:
        low, high = METRICS[metric].clip(mean.low, mean.high)
        return factor * low, factor * high
    half = next(iter(line.rows.values())).get("accuracy_half_width")
    if metric != "accuracy" or half is None:
        return None
    return 100 * max(0.0, mean.mean - half), 100 * min(1.0, mean.mean + half)


def _runtime(lines: Sequence[TableLine]) -> str:
    """The runtime in which most of the lines were timed."""
    runtimes = [line.runtime for line in lines if line.runtime]
    return max(dict.fromkeys(runtimes), key=runtimes.count, default="")
