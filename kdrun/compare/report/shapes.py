"""Lines, labels and markers: the SVG elements that charts are made of."""

from collections.abc import Iterable
from typing import Any

from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.palette import color

LETTER = 6.8  # average width of a letter at the size of labels, in units of the drawing
_OUTLINES: dict[int, list[tuple[float, float]]] = {  # square, triangle, diamond
    1: [(-1, -1), (1, -1), (1, 1), (-1, 1)],
    2: [(0, -1.3), (1.2, 0.9), (-1.2, 0.9)],
    3: [(0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)],
}


def line(x1: float, y1: float, x2: float, y2: float, stroke: str, **attributes: Any) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, **attributes)


def label(x: float, y: float, text: str, anchor: str = "start", **attributes: Any) -> Markup:
    """Text whose `anchor` (start, middle or end) is at a point; grey by default."""
    return tag("text", text, x=x, y=y, text_anchor=anchor, **{"fill": color("quiet"), **attributes})


def vertical_label(x: float, y: float, text: str, anchor: str, **attributes: Any) -> Markup:
    """Text that is rotated around its anchor to read from bottom to top."""
    return label(x, y, text, anchor, transform=f"rotate(-90 {x:.1f} {y:.1f})", **attributes)


def marker(
    number: int, x: float, y: float, size: float, tooltip: str = "", **attributes: Any
) -> Markup:
    """A circle, square, triangle or diamond around a point.

    Args:
        number: which of the four, counted from 0; higher numbers start over.
        x: of the point.
        y: of the point.
        size: half of its width.
        tooltip: text that is shown when the marker is pointed at.
        attributes: of the element.
    """
    title = tag("title", tooltip) if tooltip else None
    kind = number % (len(_OUTLINES) + 1)
    if kind == 0:
        return tag("circle", title, cx=x, cy=y, r=size, **attributes)
    points = polyline_points((x + size * dx, y + size * dy) for dx, dy in _OUTLINES[kind])
    return tag("polygon", title, points=points, **attributes)


def polyline_points(points: Iterable[tuple[float, float]]) -> str:
    """The attribute `points` of a line through (x, y) pairs."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def marks(elements: Iterable[Markup]) -> Markup:
    """A group of elements that stand for data, as opposed to axes and labels."""
    return tag("g", join(elements), class_="marks")


def shorten(text: str, letters: int) -> str:
    """The text in at most this many letters; an ellipsis replaces the middle of longer texts."""
    if len(text) <= letters:
        return text
    half = (letters - 1) // 2
    return f"{text[: letters - 1 - half]}…{text[len(text) - half :]}"
