"""What accuracy costs in bytes, work and time, with the models that nothing beats at both."""

from collections.abc import Mapping, Sequence

from kdrun.compare.metrics import METRICS
from kdrun.compare.report.drawing import Figure
from kdrun.compare.report.palette import SERIES
from kdrun.compare.report.scatter_chart import Point, scatter_chart
from kdrun.compare.seed_means import COSTS, Line
from kdrun.core.number_format import count

_TITLES = {
    "bytes": ("Accuracy and size", "bytes on disk"),
    "macs": ("Accuracy and work", "multiply-accumulates an image"),
    "latency": ("Accuracy and latency", "median ms a batch"),
}


def cost_figures(
    lines: Sequence[Line], names: Mapping[int, str], colors: Mapping[int, int], metric: str, on: str
) -> list[Figure]:
    """The metric against bytes, multiply-accumulates and milliseconds.

    Args:
        lines: of a table.
        names: of the lines that have a color, by number.
        colors: of these; the others are grey.
        metric: of the test samples.
        on: what the intervals are of, as the end of a sentence.
    """
    figures = []
    for cost in COSTS:
        points = _points(lines, names, colors, metric, cost)
        if len({point.cost for point in points}) > 1 or len(points) > 2:
            title, axis = _TITLES[cost]
            note = f"Test split; lines: 95 % intervals {on}. Ringed: on the Pareto front."
            others = sorted({line.runtime for line in lines if line.runtime} - {_runtime(lines)})
            if cost == "latency" and others:
                note += f" Hollow: timed in {', '.join(others)}, held against none of the others."
            labels = (axis, f"{METRICS[metric].label}, %")
            figures.append(scatter_chart(f"cost-{cost}", title, points, labels, note))
    return figures


def _points(
    lines: Sequence[Line],
    names: Mapping[int, str],
    colors: Mapping[int, int],
    metric: str,
    cost: str,
) -> list[Point]:
    factor, runtime = METRICS[metric].unit.factor, _runtime(lines)
    points = []
    for number, line in enumerate(lines):
        if not {metric, cost} <= line.estimates.keys() or not line.estimates[cost].mean:
            continue
        value = line.estimates[metric].mean
        hollow = cost == "latency" and line.runtime != runtime
        points.append(
            Point(
                names.get(number, line.model),
                line.estimates[cost].mean,
                factor * value,
                colors.get(number, SERIES),
                _interval(line, metric),
                front=cost in line.fronts and not hollow,
                hollow=hollow,
                told=count(line.estimates[cost].mean) if cost != "latency" else None,
            )
        )
    return sorted(points, key=lambda point: point.color)


def _interval(line: Line, metric: str) -> tuple[float, float] | None:
    """Over the seeds; of one seed, what the number of test samples leaves open of accuracy."""
    found, factor = line.estimates[metric], METRICS[metric].unit.factor
    if found.low is not None and found.high is not None:
        low, high = METRICS[metric].clip(found.low, found.high)
        return factor * low, factor * high
    half = next(iter(line.rows.values())).get("accuracy_half_width")
    if metric != "accuracy" or half is None:
        return None
    return 100 * max(0.0, found.mean - half), 100 * min(1.0, found.mean + half)


def _runtime(lines: Sequence[Line]) -> str:
    """Most of the lines' own."""
    runtimes = [line.runtime for line in lines if line.runtime]
    return max(dict.fromkeys(runtimes), key=runtimes.count, default="")
