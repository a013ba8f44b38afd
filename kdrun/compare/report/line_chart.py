"""Curves: what a measurement does over epochs, with a band where several runs were made."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.drawing import DASHES, Entry, Figure, Plot, shape
from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.palette import SERIES, color, series_color

_MANY = 60  # points of a curve beyond which they are no longer marked one by one


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        name: in the legend.
        points: (x, y), by x.
        band: (x, low, high), by x: where the runs around it lie.
        color: its number; curves beyond the last color are grey and share a line of the legend.
        marked: the x that is marked by a ring.
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
    whole: bool = True,
) -> Figure:
    """Curves over a common axis.

    Args:
        name: of the file.
        title: what is shown.
        curves: the first ones are drawn last, above the others.
        labels: of the x axis and the y axis.
        note: below the drawing.
        whole: whether x are whole numbers, as epochs are.
    """
    x = Axis.around(labels[0], [x for curve in curves for x, _ in curve.points], whole=whole)
    heights = [y for curve in curves for _, y in curve.points]
    ends = [end for curve in curves for _, *both in curve.band for end in both]
    plot = Plot(x, Axis.around(labels[1], [*heights, *ends]), _entries(curves))
    marks = [_band(plot, curve) for curve in curves if curve.band and curve.color < SERIES]
    marks += [mark for curve in reversed(curves) for mark in _marks(plot, curve)]
    return plot.figure(name, title, marks, note)


def _entries(curves: Sequence[Curve]) -> list[Entry]:
    shown = [
        Entry(curve.name, series_color(curve.color), dash=_dash(curve))
        for curve in curves
        if curve.color < SERIES
    ]
    others = sum(curve.color >= SERIES for curve in curves)
    return [*shown, *([Entry(f"{others} others", color("rest"))] if others else [])]


def _dash(curve: Curve) -> str | None:
    return DASHES[curve.color] if curve.color < SERIES else None


def _band(plot: Plot, curve: Curve) -> Markup:
    above = [(plot.at_x(x), plot.at_y(high)) for x, _, high in curve.band]
    below = [(plot.at_x(x), plot.at_y(low)) for x, low, _ in reversed(curve.band)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*above, *below])
    return tag("polygon", points=points, fill=series_color(curve.color), fill_opacity="0.1")


def _marks(plot: Plot, curve: Curve) -> list[Markup]:
    stroke = series_color(curve.color)
    places = [(plot.at_x(x), plot.at_y(y)) for x, y in curve.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    title = tag("title", curve.name)
    thick = 2 if curve.color < SERIES else 1
    style = {"fill": "none", "stroke": stroke, "stroke_width": thick}
    marks = [tag("polyline", title, points=path, stroke_dasharray=_dash(curve), **style)]
    if curve.color >= SERIES:
        return marks
    dots = len(places) <= _MANY
    for (x, y), (at_x, at_y) in zip(curve.points, places, strict=True):
        told = f"{curve.name}: {y:.4g} at {x:g}"
        if x == curve.marked:
            ring = {"fill": color("card"), "stroke": stroke, "stroke_width": 2}
            marks.append(shape(0, at_x, at_y, 4.5, told, **ring))
        elif dots:
            marks.append(shape(curve.color, at_x, at_y, 2.4, told, fill=stroke))
    return marks
