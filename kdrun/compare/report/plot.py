"""A plot with two axes, a grid and a legend, which curves and points are drawn into."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.figure import WIDTH, Figure
from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.palette import color
from kdrun.compare.report.shapes import LETTER, label, line, marker, marks, shorten, vertical_label

_LEFT, _RIGHT, _BOTTOM = 54, 14, 46  # margins around the field
_ROW = 18  # height of a row of the legend
_NAME = 44  # letters of a name in the legend


@dataclass(frozen=True)
class LegendEntry:
    """One entry of a legend.

    Attributes:
        name: of the series.
        color: of the series.
        marker: the number of its marker; None for a line.
        dash: `stroke-dasharray` of its line; None for a solid line.
    """

    name: str
    color: str
    marker: int | None = None
    dash: str | None = None


class Plot:
    """A field between two axes, with a legend above it.

    Args:
        x: from left to right.
        y: from bottom to top.
        entries: of the legend.
        height: of the field and its axes, without the legend.
    """

    def __init__(self, x: Axis, y: Axis, entries: Sequence[LegendEntry], height: int = 270) -> None:
        self.x, self.y = x, y
        self._legend = _legend(entries)
        self.top = 10 + self._legend.height
        self.height = self.top + height
        self.bottom = self.height - _BOTTOM

    def x_of(self, value: float) -> float:
        """The horizontal position of a value."""
        return _LEFT + self.x.fraction(value) * (WIDTH - _LEFT - _RIGHT)

    def y_of(self, value: float) -> float:
        """The vertical position of a value."""
        return self.bottom - self.y.fraction(value) * (self.bottom - self.top)

    def figure(self, name: str, title: str, elements: Iterable[Markup], note: str = "") -> Figure:
        """The figure of the axes, with these elements drawn into the field."""
        body = join([*self._axes(), self._legend.markup, marks(elements)])
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
            elements.append(line(x, self.bottom, x, self.bottom + 4, color("quiet")))
            elements.append(label(x, self.bottom + 17, text, "middle"))
        elements.append(line(left, self.bottom, right, self.bottom, color("quiet")))
        elements.append(label((left + right) / 2, self.height - 8, self.x.label, "middle"))
        middle = (self.top + self.bottom) / 2
        elements.append(vertical_label(12, middle, self.y.label, "middle"))
        return elements


class _Legend(NamedTuple):
    markup: Markup
    height: int


def _legend(entries: Sequence[LegendEntry]) -> _Legend:
    """The entries from left to right, in as many rows as they need."""
    elements: list[Markup] = []
    start, x, row = 12.0, 12.0, 0
    for entry in entries:
        name = shorten(entry.name, _NAME)
        width = 22 + LETTER * len(name) + 8
        if x > start and x + width > WIDTH:
            x, row = start, row + 1
        y = 12 + _ROW * row
        if entry.marker is None:
            dashes = {"stroke_width": 2.5, "stroke_dasharray": entry.dash}
            elements.append(line(x, y, x + 17, y, entry.color, **dashes))
        else:
            elements.append(marker(entry.marker, x + 9, y, 4.5, fill=entry.color))
        elements.append(label(x + 22, y + 4, name, fill=color("ink")))
        x += width
    return _Legend(tag("g", join(elements)), _ROW * (row + 1) if entries else 0)
