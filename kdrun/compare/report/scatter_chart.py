"""A scatter chart of models: value against cost, with their Pareto front."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.palette import SERIES_COLORS, color, series_color
from kdrun.compare.report.plot import LegendEntry, Plot
from kdrun.compare.report.shapes import line, marker, polyline_points

_FRONT_DASH = "4 3"  # `stroke-dasharray` of the Pareto front
_CIRCLE = 0  # number of the circle among the marker shapes


@dataclass(frozen=True)
class Point:
    """One model.

    Attributes:
        name: name of the model in the legend.
        cost: cost of the model, above 0; lower is better.
        value: score of the model; higher is better.
        color: number of the color and of the marker shape, from 0. Points with a number of
            `SERIES_COLORS` or more are grey and share one legend entry.
        interval: lower and upper end of the interval of `value`.
        front: whether the model is on the Pareto front: no other model is at least as good in both
            cost and value, and better in one of them.
        hollow: whether the cost can't be compared with the costs of the other points.
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
    """Draw points over a logarithmic cost axis, and a line along their Pareto front.

    Args:
        name: name of the figure's file, without suffix.
        title: title of the figure.
        points: the models; the first points are drawn above the later ones.
        labels: labels of the cost axis and of the value axis.
        note: text below the figure.
    """
    values = [value for point in points for value in (point.value, *(point.interval or ()))]
    costs = Axis.around(labels[0], [point.cost for point in points], log=True)
    plot = Plot(costs, Axis.around(labels[1], values), _legend_entries(points))
    elements = [_front_line(plot, points)]
    for point in reversed(points):
        elements += _draw_point(plot, point)
    return plot.figure(name, title, elements, note)


def _legend_entries(points: Sequence[Point]) -> list[LegendEntry]:
    entries = [
        LegendEntry(point.name, series_color(point.color), marker=point.color)
        for point in points
        if point.color < SERIES_COLORS
    ]
    others = sum(point.color >= SERIES_COLORS for point in points)
    if others:
        entries.append(LegendEntry(f"{others} others", color("uncolored"), marker=_CIRCLE))
    if _has_front(points):
        entries.append(LegendEntry("Pareto front", color("muted"), dash=_FRONT_DASH))
    return entries


def _has_front(points: Sequence[Point]) -> bool:
    """Return whether the Pareto front has at least two different points, so that it is a line."""
    return len({(point.cost, point.value) for point in points if point.front}) > 1


def _front_line(plot: Plot, points: Sequence[Point]) -> Markup:
    """Draw a staircase: the best value at each cost or less."""
    if not _has_front(points):
        return Markup()
    corners: list[tuple[float, float]] = []
    for point in sorted((p for p in points if p.front), key=lambda p: (p.cost, p.value)):
        x, y = plot.x_of(point.cost), plot.y_of(point.value)
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, y))
    style = {"fill": "none", "stroke": color("muted"), "stroke_width": 1.5}
    return tag("polyline", points=polyline_points(corners), stroke_dasharray=_FRONT_DASH, **style)


def _draw_point(plot: Plot, point: Point) -> list[Markup]:
    """Draw the interval of a point, a ring if it is on the front, and its marker."""
    x, y = plot.x_of(point.cost), plot.y_of(point.value)
    stroke = series_color(point.color)
    elements = []
    if point.interval and point.color < SERIES_COLORS:
        low, high = (plot.y_of(end) for end in point.interval)
        elements.append(line(x, low, x, high, stroke, stroke_opacity=0.45, stroke_width=2))
    tooltip = f"{point.name}: {point.value:.2f} at {point.cost_text or f'{point.cost:.3g}'}"
    size = 5.5 if point.color < SERIES_COLORS else 3.5
    if point.front:
        elements.append(
            marker(_CIRCLE, x, y, 9.5, fill="none", stroke=color("muted"), stroke_width=1.5)
        )
    style = {"fill": color("card") if point.hollow else stroke, "stroke": stroke}
    elements.append(marker(point.color, x, y, size, tooltip, stroke_width=2, **style))
    return elements
