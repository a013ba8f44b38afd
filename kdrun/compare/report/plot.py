"""A plot with two axes, a grid and a legend, into which curves and points are drawn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.figure import WIDTH, Figure
from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.palette import color
from kdrun.compare.report.shapes import (
    LETTER,
    data_group,
    label,
    line,
    marker,
    shorten,
    vertical_label,
)

_LEFT, _RIGHT, _BOTTOM = 54, 14, 46  # margins around the plot area
_LEGEND_ROW_HEIGHT = 18
_MAX_NAME = 44  # longest name in the legend, in letters


@dataclass(frozen=True)
class LegendEntry:
    """An entry of a legend.

    Attributes:
        name: name of the curve or model.
        color: CSS value of its color.
        marker: number of its marker shape; None for a line.
        dash: `stroke-dasharray` of its line; None for a solid line.
    """

    name: str
    color: str
    marker: int | None = None
    dash: str | None = None


class Plot:
    """A plot area with two axes, and a legend above it.

    Args:
        x: the axis from left to right.
        y: the axis from bottom to top.
        entries: entries of the legend.
        height: height of the plot area with its axes, without the legend.
    """

    def __init__(self, x: Axis, y: Axis, entries: Sequence[LegendEntry], height: int = 270) -> None:
        self.x, self.y = x, y
        self._legend = _legend(entries)
        self.top = 10 + self._legend.height
        self.height = self.top + height
        self.bottom = self.height - _BOTTOM

    def x_of(self, value: float) -> float:
        """Return the horizontal position of a value."""
        return _LEFT + self.x.fraction(value) * (WIDTH - _LEFT - _RIGHT)

    def y_of(self, value: float) -> float:
        """Return the vertical position of a value."""
        return self.bottom - self.y.fraction(value) * (self.bottom - self.top)

    def figure(self, name: str, title: str, elements: Iterable[Markup], note: str = "") -> Figure:
        """Return the figure: axes and legend, with the given elements in the plot area."""
        body = join([*self._axes(), self._legend.markup, data_group(elements)])
        return Figure(name, title, WIDTH, self.height, body, note)

    def _axes(self) -> list[Markup]:
        left, right = _LEFT, WIDTH - _RIGHT
        elements = []
        for value, text in self.y.ticks():
            y = self.y_of(value)
            elements.append(line(left, y, right, y, color("grid")))
            elements.append(label(left - 7, y + 4, text, "end"))
        for value, text in self.x.ticks():
            x = self.x_of(value)
            elements.append(line(x, self.bottom, x, self.bottom + 4, color("muted")))
            elements.append(label(x, self.bottom + 17, text, "middle"))
        elements.append(line(left, self.bottom, right, self.bottom, color("muted")))
        elements.append(label((left + right) / 2, self.height - 8, self.x.label, "middle"))
        middle = (self.top + self.bottom) / 2
        elements.append(vertical_label(12, middle, self.y.label, "middle"))
        return elements


class _Legend(NamedTuple):
    markup: Markup
    height: int


def _legend(entries: Sequence[LegendEntry]) -> _Legend:
    """Lay out legend entries from left to right, in as many rows as needed."""
    elements: list[Markup] = []
    start, x, row = 12.0, 12.0, 0
    for entry in entries:
        name = shorten(entry.name, _MAX_NAME)
        width = 22 + LETTER * len(name) + 8
        if x > start and x + width > WIDTH:
            x, row = start, row + 1
        y = 12 + _LEGEND_ROW_HEIGHT * row
        if entry.marker is None:
            dashes = {"stroke_width": 2.5, "stroke_dasharray": entry.dash}
            elements.append(line(x, y, x + 17, y, entry.color, **dashes))
        else:
            elements.append(marker(entry.marker, x + 9, y, 4.5, fill=entry.color))
        elements.append(label(x + 22, y + 4, name, fill=color("ink")))
        x += width
    return _Legend(tag("g", join(elements)), _LEGEND_ROW_HEIGHT * (row + 1) if entries else 0)
