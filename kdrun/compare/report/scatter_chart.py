"""Models as points of value against cost, with their Pareto front."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.palette import SERIES, color, series_color
from kdrun.compare.report.plot import LegendEntry, Plot
from kdrun.compare.report.shapes import line, marker, polyline_points

_FRONT_DASH = "4 3"


@dataclass(frozen=True)
class Point:
    """One model.

    Attributes:
        name: in the legend.
        cost: above 0; less is better.
        value: more is better.
        color: number of its series; those beyond the last color are grey and share an entry.
        interval: lower and upper end of the interval of `value`.
        front: whether no other model is as good at both and better at one.
        hollow: whether its cost can't be compared with that of the others.
        cost_text: the cost in the tooltip; three digits by default.
    """

    name: str
    cost: float
    value: float
    color: int
    interval: tuple[float, float] | None = None
    front: bool = False
    hollow: bool = False
    cost_text: str | None = None


def scatter_chart(
    name: str, title: str, points: Sequence[Point], labels: tuple[str, str], note: str = ""
) -> Figure:
    """Points on a logarithmic axis of cost, and a line along their Pareto front.

    Args:
        name: of the file.
        title: what is shown.
        points: the first ones are drawn last, above the others.
        labels: of the axes of cost and value.
        note: text below the drawing.
    """
    values = [value for point in points for value in (point.value, *(point.interval or ()))]
    costs = Axis.around(labels[0], [point.cost for point in points], log=True)
    plot = Plot(costs, Axis.around(labels[1], values), _entries(points))
    elements = [_front(plot, points)]
    for point in reversed(points):
        elements += _elements(plot, point)
    return plot.figure(name, title, elements, note)


def _entries(points: Sequence[Point]) -> list[LegendEntry]:
    entries = [
        LegendEntry(point.name, series_color(point.color), marker=point.color)
        for point in points
        if point.color < SERIES
    ]
    others = sum(point.color >= SERIES for point in points)
    if others:
        entries.append(LegendEntry(f"{others} others", color("rest"), marker=0))
    if _has_front(points):
        entries.append(LegendEntry("Pareto front", color("quiet"), dash=_FRONT_DASH))
    return entries


def _has_front(points: Sequence[Point]) -> bool:
    return len({(point.cost, point.value) for point in points if point.front}) > 1


def _front(plot: Plot, points: Sequence[Point]) -> Markup:
    """A staircase: the best value at each cost or less."""
    if not _has_front(points):
        return Markup()
    corners: list[tuple[float, float]] = []
    for point in sorted((p for p in points if p.front), key=lambda p: (p.cost, p.value)):
        x, y = plot.x_of(point.cost), plot.y_of(point.value)
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    style = {"fill": "none", "stroke": color("quiet"), "stroke_width": 1.5}
    return tag("polyline", points=polyline_points(corners), stroke_dasharray=_FRONT_DASH, **style)


def _elements(plot: Plot, point: Point) -> list[Markup]:
    """The interval, the ring of the front, and the marker of a point."""
    x, y = plot.x_of(point.cost), plot.y_of(point.value)
    stroke = series_color(point.color)
    elements = []
    if point.interval and point.color < SERIES:
        low, high = (plot.y_of(end) for end in point.interval)
        elements.append(line(x, low, x, high, stroke, stroke_opacity=0.45, stroke_width=2))
    tooltip = f"{point.name}: {point.value:.2f} at {point.cost_text or f'{point.cost:.3g}'}"
    size = 5.5 if point.color < SERIES else 3.5
    if point.front:
        elements.append(marker(0, x, y, 9.5, fill="none", stroke=color("quiet"), stroke_width=1.5))
    style = {"fill": color("card") if point.hollow else stroke, "stroke": stroke}
    elements.append(marker(point.color, x, y, size, tooltip, stroke_width=2, **style))
    return elements
