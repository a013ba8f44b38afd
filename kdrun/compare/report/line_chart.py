"""A chart of curves over epochs; a band shows the range of the runs that a curve averages."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.figure import Figure
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.palette import SERIES_COLORS, color, series_color
from kdrun.compare.report.plot import LegendEntry, Plot
from kdrun.compare.report.shapes import marker, polyline_points

_MAX_MARKERS = 60  # a curve with more points has no markers
_DASHES = (None, "6 3", None, "6 3", None, "2 3", None, "6 3")  # `stroke-dasharray` of the series
_CIRCLE = 0  # number of the circle among the marker shapes


@dataclass(frozen=True)
class Curve:
    """A curve of a chart.

    Attributes:
        name: name of the curve in the legend.
        points: (x, y) pairs, ordered by x.
        color: number of the color and of the marker shape, from 0. Curves with a number of
            `SERIES_COLORS` or more are grey and share one legend entry.
        band: (x, low, high) triples, ordered by x: the range of the runs that the curve averages.
        marked: x of the point that is marked by a ring.
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
    """Draw curves over an axis of whole numbers, such as epochs.

    Args:
        name: name of the figure's file, without suffix.
        title: title of the figure.
        curves: the first curves are drawn above the later ones.
        labels: labels of the x axis and of the y axis.
        note: text below the figure.
    """
    xs = [x for curve in curves for x, _ in curve.points]
    ys = [y for curve in curves for _, y in curve.points]
    ys += [end for curve in curves for _, low, high in curve.band for end in (low, high)]
    x_axis = Axis.around(labels[0], xs, integers=True)
    plot = Plot(x_axis, Axis.around(labels[1], ys), _legend_entries(curves))
    elements = [
        _draw_band(plot, curve) for curve in curves if curve.band and curve.color < SERIES_COLORS
    ]
    for curve in reversed(curves):
        elements += _draw_curve(plot, curve)
    return plot.figure(name, title, elements, note)


def _legend_entries(curves: Sequence[Curve]) -> list[LegendEntry]:
    entries = [
        LegendEntry(curve.name, series_color(curve.color), dash=_dash(curve))
        for curve in curves
        if curve.color < SERIES_COLORS
    ]
    others = sum(curve.color >= SERIES_COLORS for curve in curves)
    if others:
        entries.append(LegendEntry(f"{others} others", color("uncolored")))
    return entries


def _dash(curve: Curve) -> str | None:
    return _DASHES[curve.color] if curve.color < SERIES_COLORS else None


def _draw_band(plot: Plot, curve: Curve) -> Markup:
    upper = [(plot.x_of(x), plot.y_of(high)) for x, _, high in curve.band]
    lower = [(plot.x_of(x), plot.y_of(low)) for x, low, _ in reversed(curve.band)]
    points = polyline_points([*upper, *lower])
    return tag("polygon", points=points, fill=series_color(curve.color), fill_opacity="0.1")


def _draw_curve(plot: Plot, curve: Curve) -> list[Markup]:
    """Draw the line of a curve and its markers."""
    stroke = series_color(curve.color)
    positions = [(plot.x_of(x), plot.y_of(y)) for x, y in curve.points]
    style = {
        "fill": "none",
        "stroke": stroke,
        "stroke_width": 2 if curve.color < SERIES_COLORS else 1,
    }
    points, title = polyline_points(positions), tag("title", curve.name)
    elements = [tag("polyline", title, points=points, stroke_dasharray=_dash(curve), **style)]
    if curve.color >= SERIES_COLORS:
        return elements
    for (x, y), position in zip(curve.points, positions, strict=True):
        tooltip = f"{curve.name}: {y:.4g} at {x:g}"
        if x == curve.marked:
            fill = color("card")
            elements.append(
                marker(_CIRCLE, *position, 4.5, tooltip, fill=fill, stroke=stroke, stroke_width=2)
            )
        elif len(positions) <= _MAX_MARKERS:
            elements.append(marker(curve.color, *position, 2.4, tooltip, fill=stroke))
    return elements
