"""Curves over epochs, with a band where a curve is the mean of several runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.palette import SERIES, color, series_color
from kdrun.compare.report.plot import LegendEntry, Plot
from kdrun.compare.report.shapes import marker, polyline_points

_MOST_MARKERS = 60  # points of a curve; beyond them it has no markers
_DASHES = (None, "6 3", None, "6 3", None, "2 3", None, "6 3")  # `stroke-dasharray` of the series


@dataclass(frozen=True)
class Curve:
    """One curve of a chart.

    Attributes:
        name: in the legend.
        points: (x, y), ordered by x.
        color: number of its series; those beyond the last color are grey and share an entry.
        band: (x, low, high), ordered by x: the range of the runs that the curve is the mean of.
        marked: the x of the point that has a ring.
    """

    name: str
    points: Sequence[tuple[float, float]]
    color: int
    band: Sequence[tuple[float, float, float]] = ()
    marked: float | None = None


def line_chart(
    name: str,
    title: str,
    curves: Sequence[Curve],
    labels: tuple[str, str],
    note: str = "",
) -> Figure:
    """Curves over an axis of whole numbers, such as epochs.

    Args:
        name: of the file.
        title: what is shown.
        curves: the first ones are drawn last, above the others.
        labels: of the x axis and the y axis.
        note: text below the drawing.
    """
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    ys += [end for curve in curves for _, low, high in curve.band for end in (low, high)]
    x_axis = Axis.around(labels[0], xs, integers=True)
    plot = Plot(x_axis, Axis.around(labels[1], ys), _entries(curves))
    elements = [_band(plot, curve) for curve in curves if curve.band and curve.color < SERIES]
    elements += [one for curve in reversed(curves) for one in _elements(plot, curve)]
    return plot.figure(name, title, elements, note)


def _entries(curves: Sequence[Curve]) -> list[LegendEntry]:
    entries = [
        LegendEntry(curve.name, series_color(curve.color), dash=_dash(curve))
        for curve in curves
        if curve.color < SERIES
    ]
    others = sum(curve.color >= SERIES for curve in curves)
    if others:
        entries.append(LegendEntry(f"{others} others", color("rest")))
    return entries


def _dash(curve: Curve) -> str | None:
    return _DASHES[curve.color] if curve.color < SERIES else None


def _band(plot: Plot, curve: Curve) -> Markup:
    upper = [(plot.x_of(x), plot.y_of(high)) for x, _, high in curve.band]
    lower = [(plot.x_of(x), plot.y_of(low)) for x, low, _ in reversed(curve.band)]
    points = polyline_points([*upper, *lower])
    return tag("polygon", points=points, fill=series_color(curve.color), fill_opacity="0.1")


def _elements(plot: Plot, curve: Curve) -> list[Markup]:
    """The line of a curve and its markers."""
    stroke = series_color(curve.color)
    positions = [(plot.x_of(x), plot.y_of(y)) for x, y in curve.points]
    style = {"fill": "none", "stroke": stroke, "stroke_width": 2 if curve.color < SERIES else 1}
    points, title = polyline_points(positions), tag("title", curve.name)
    elements = [tag("polyline", title, points=points, stroke_dasharray=_dash(curve), **style)]
    if curve.color >= SERIES:
        return elements
    for (x, y), position in zip(curve.points, positions, strict=True):
        tooltip = f"{curve.name}: {y:.4g} at {x:g}"
        if x == curve.marked:
            fill = color("card")
            elements.append(
                marker(0, *position, 4.5, tooltip, fill=fill, stroke=stroke, stroke_width=2)
            )
        elif len(positions) <= _MOST_MARKERS:
            elements.append(marker(curve.color, *position, 2.4, tooltip, fill=stroke))
    return elements
