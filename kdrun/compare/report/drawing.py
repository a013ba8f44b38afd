"""A figure, and what the plots of all kinds share: axes, grid, legend, shapes."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.palette import LIGHT, color

WIDTH = 400  # of a figure, in the units of its drawing: pixels where there is room
LETTER = 6.8  # about the width of one, at the size of the labels
_LEFT, _RIGHT, _BELOW, _LINE = 54, 14, 46, 18
_FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
DASHES = (None, "6 3", None, "6 3", None, "2 3", None, "6 3")  # of the series
_OUTLINES: dict[int, list[tuple[float, float]]] = {
    1: [(-1, -1), (1, -1), (1, 1), (-1, 1)],
    2: [(0, -1.3), (1.2, 0.9), (-1.2, 0.9)],
    3: [(0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)],
}


@dataclass(frozen=True)
class Figure:
    """A drawing that stands alone, on a page or in a file.

    Attributes:
        name: of its file, without a suffix.
        title: what it shows, in a few words.
        width: of the drawing.
        height: of the drawing.
        body: its elements; colors are names of the palette.
        note: what a reader should know of it.
    """

    name: str
    title: str
    width: float
    height: float
    body: Markup
    note: str = ""

    def inline(self) -> Markup:
        """As a part of a page, in the colors of its theme."""
        return self._svg(self.body)

    def standalone(self) -> str:
        """As a file of its own, in the light theme's colors on white."""
        paper = tag("rect", width="100%", height="100%", fill=color("card"))
        svg = self._svg(
            join([paper, self.body]),
            xmlns="http://www.w3.org/2000/svg",
            width=self.width,
            height=self.height,
        )
        return re.sub(r"var\(--([\w-]+)\)", lambda found: LIGHT[found[1]], svg) + "\n"

    def _svg(self, body: Markup, **attributes: Any) -> Markup:
        return tag(
            "svg",
            tag("title", self.title),
            body,
            viewBox=f"0 0 {self.width:g} {self.height:g}",
            role="img",
            aria_label=self.title,
            font_family=_FONT,
            font_size=12,
            **attributes,
        )


@dataclass(frozen=True)
class Entry:
    """A line of a legend: a name, its color, and the number of its dashes or its shape."""

    name: str
    color: str
    shape: int | None = None
    dash: str | None = None


class Plot:
    """A field between two axes, with a legend above it.

    Args:
        x: from left to right.
        y: from bottom to top.
        entries: of the legend.
        height: of the field and its axes.
    """

    def __init__(self, x: Axis, y: Axis, entries: Sequence[Entry], height: int = 270) -> None:
        self.x, self.y = x, y
        self._legend, rows = _legend(entries)
        self.top = 10 + _LINE * rows
        self.height = self.top + height
        self.bottom = self.height - _BELOW

    def at_x(self, value: float) -> float:
        return _LEFT + self.x.place(value) * (WIDTH - _LEFT - _RIGHT)

    def at_y(self, value: float) -> float:
        return self.bottom - self.y.place(value) * (self.bottom - self.top)

    def figure(self, name: str, title: str, marks: Iterable[Markup], note: str = "") -> Figure:
        """The axes with these marks within."""
        body = join([*self._axes(), self._legend, tag("g", join(marks), class_="marks")])
        return Figure(name, title, WIDTH, self.height, body, note)

    def _axes(self) -> list[Markup]:
        left, right = _LEFT, WIDTH - _RIGHT
        parts = []
        for value, words in self.y.ticks():
            y = self.at_y(value)
            parts.append(line(left, y, right, y, color("grid")))
            parts.append(label(left - 7, y + 4, words, "end"))
        for value, words in self.x.ticks():
            x = self.at_x(value)
            parts.append(line(x, self.bottom, x, self.bottom + 4, color("quiet")))
            parts.append(label(x, self.bottom + 17, words, "middle"))
        parts.append(line(left, self.bottom, right, self.bottom, color("quiet")))
        parts.append(label((left + right) / 2, self.height - 8, self.x.label, "middle"))
        middle = (self.top + self.bottom) / 2
        turned = f"rotate(-90 12 {middle:.1f})"
        parts.append(label(12, middle, self.y.label, "middle", transform=turned))
        return parts


def line(x1: float, y1: float, x2: float, y2: float, stroke: str, **more: Any) -> Markup:
    """A straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, **more)


def label(x: float, y: float, words: str, anchor: str = "start", **more: Any) -> Markup:
    """Text in the quiet color, unless another is given."""
    return tag("text", words, x=x, y=y, text_anchor=anchor, **{"fill": color("quiet"), **more})


def shape(number: int, x: float, y: float, size: float, told: str = "", **more: Any) -> Markup:
    """The n-th of a few shapes around a point; `told` is said when it is pointed at."""
    title = tag("title", told) if told else None
    kind = number % 4
    if kind == 0:
        return tag("circle", title, cx=x, cy=y, r=size, **more)
    points = " ".join(f"{x + size * dx:.1f},{y + size * dy:.1f}" for dx, dy in _OUTLINES[kind])
    return tag("polygon", title, points=points, **more)


def shortened(words: str, letters: int) -> str:
    """At most as many letters, its middle left out."""
    if len(words) <= letters:
        return words
    half = (letters - 1) // 2
    return f"{words[: letters - 1 - half]}…{words[len(words) - half :]}"


def _legend(entries: Sequence[Entry]) -> tuple[Markup, int]:
    """The entries from left to right, on as many lines as they need; and how many those are."""
    parts: list[Markup] = []
    start, x, row = 12.0, 12.0, 0
    for entry in entries:
        name = shortened(entry.name, 44)
        needed = 22 + LETTER * len(name) + 8
        if x > start and x + needed > WIDTH:
            x, row = start, row + 1
        y = 12 + _LINE * row
        if entry.shape is None:
            dashes = {"stroke_width": 2.5, "stroke_dasharray": entry.dash}
            parts.append(line(x, y, x + 17, y, entry.color, **dashes))
        else:
            parts.append(shape(entry.shape, x + 9, y, 4.5, fill=entry.color))
        parts.append(label(x + 22, y + 4, name, fill=color("ink")))
        x += needed
    return tag("g", join(parts)), row + 1 if entries else 0
