"""What is gained against what it costs, with those that nothing beats at both."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.drawing import Entry, Figure, Plot, line, shape
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.palette import SERIES, color, series_color


@dataclass(frozen=True)
class Point:
    """One model.

    Attributes:
        name: in the legend.
        cost: above 0; less is better.
        value: more is better.
        color: its number; the rest is grey and shares a line of the legend.
        interval: the ends of what `value` may be.
        front: whether no other is as good at both and better at one.
        hollow: whether its cost can't be held against the others'.
        told: its cost in words.
    """

    name: str
    cost: float
    value: float
    color: int
    interval: tuple[float, float] | None = None
    front: bool = False
    hollow: bool = False
    told: str | None = None


def scatter_chart(
    name: str, title: str, points: Sequence[Point], labels: tuple[str, str], note: str = ""
) -> Figure:
    """Points on a logarithmic axis of cost, and a line along their front.

    Args:
        name: of the file.
        title: what is shown.
        points: the first ones are drawn last, above the others.
        labels: of the cost and of the value.
        note: below the drawing.
    """
    ends = [end for point in points for end in (point.value, *(point.interval or ()))]
    x = Axis.around(labels[0], [point.cost for point in points], log=True)
    plot = Plot(x, Axis.around(labels[1], ends), _entries(points))
    marks = [_front(plot, points)]
    for point in reversed(points):
        marks += _marks(plot, point)
    return plot.figure(name, title, marks, note)


def _entries(points: Sequence[Point]) -> list[Entry]:
    shown = [
        Entry(point.name, series_color(point.color), shape=point.color)
        for point in points
        if point.color < SERIES
    ]
    others = sum(point.color >= SERIES for point in points)
    rest = [Entry(f"{others} others", color("rest"), shape=0)] if others else []
    front = [Entry("Pareto front", color("quiet"), dash="4 3")] if _has_front(points) else []
    return [*shown, *rest, *front]


def _has_front(points: Sequence[Point]) -> bool:
    return len({(point.cost, point.value) for point in points if point.front}) > 1


def _front(plot: Plot, points: Sequence[Point]) -> Markup:
    """A staircase: what is there at each cost or less."""
    if not _has_front(points):
        return Markup()
    corners: list[tuple[float, float]] = []
    for point in sorted((p for p in points if p.front), key=lambda p: (p.cost, p.value)):
        x, y = plot.at_x(point.cost), plot.at_y(point.value)
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    style = {"fill": "none", "stroke": color("quiet"), "stroke_width": 1.5}
    return tag("polyline", points=path, stroke_dasharray="4 3", **style)


def _marks(plot: Plot, point: Point) -> list[Markup]:
    x, y = plot.at_x(point.cost), plot.at_y(point.value)
    ink = series_color(point.color)
    marks = []
    if point.interval and point.color < SERIES:
        low, high = (plot.at_y(end) for end in point.interval)
        marks.append(line(x, low, x, high, ink, stroke_opacity=0.45, stroke_width=2))
    told = f"{point.name}: {point.value:.2f} at {point.told or f'{point.cost:.3g}'}"
    fill = color("card") if point.hollow else ink
    size = 5.5 if point.color < SERIES else 3.5
    if point.front:
        marks.append(shape(0, x, y, 9.5, fill="none", stroke=color("quiet"), stroke_width=1.5))
    marks.append(shape(point.color, x, y, size, told, fill=fill, stroke=ink, stroke_width=2))
    return marks
