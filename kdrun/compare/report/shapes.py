"""Lines, labels and markers: the SVG elements of charts."""

from collections.abc import Iterable
from typing import Any

from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.palette import color

LETTER = 6.8  # average width of a letter of a label, in SVG user units
_OUTLINES: dict[int, list[tuple[float, float]]] = {  # square, triangle, diamond
    1: [(-1, -1), (1, -1), (1, 1), (-1, 1)],
    2: [(0, -1.3), (1.2, 0.9), (-1.2, 0.9)],
    3: [(0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)],
}


def line(x1: float, y1: float, x2: float, y2: float, stroke: str, **attributes: Any) -> Markup:
    """Return a straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, **attributes)


def label(x: float, y: float, text: str, anchor: str = "start", **attributes: Any) -> Markup:
    """Return text whose `anchor` (start, middle or end) is at (x, y); grey by default."""
    return tag("text", text, x=x, y=y, text_anchor=anchor, **{"fill": color("muted"), **attributes})


def vertical_label(x: float, y: float, text: str, anchor: str, **attributes: Any) -> Markup:
    """Return text that is rotated to read from bottom to top."""
    return label(x, y, text, anchor, transform=f"rotate(-90 {x:.1f} {y:.1f})", **attributes)


def marker(
    number: int, x: float, y: float, size: float, tooltip: str = "", **attributes: Any
) -> Markup:
    """Return a circle (0), square (1), triangle (2) or diamond (3) around a point.

    Args:
        number: number of the shape; from 4 on the shapes repeat.
        x: horizontal position of the point.
        y: vertical position of the point.
        size: half of the marker's width.
        tooltip: text that is shown when the mouse points at the marker.
        attributes: attributes of the SVG element.
    """
    title = tag("title", tooltip) if tooltip else None
    kind = number % (len(_OUTLINES) + 1)
    if kind == 0:
        return tag("circle", title, cx=x, cy=y, r=size, **attributes)
    points = polyline_points((x + size * dx, y + size * dy) for dx, dy in _OUTLINES[kind])
    return tag("polygon", title, points=points, **attributes)


def polyline_points(points: Iterable[tuple[float, float]]) -> str:
    """Return the value of the SVG attribute `points` for (x, y) pairs."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def data_group(elements: Iterable[Markup]) -> Markup:
    """Group the elements that show data, as opposed to axes and labels."""
    return tag("g", join(elements), class_="marks")


def shorten(text: str, letters: int) -> str:
    """Shorten a text to a number of letters; an ellipsis replaces its middle."""
    if len(text) <= letters:
        return text
    half = (letters - 1) // 2
    return f"{text[: letters - 1 - half]}…{text[len(text) - half :]}"
