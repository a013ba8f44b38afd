"""Horizontal bars from a line at 0, such as what each class gains or loses."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.figure import WIDTH, Figure
from kdrun.compare.report.markup import join, tag
from kdrun.compare.report.palette import color
from kdrun.compare.report.shapes import LETTER, label, line, marks, shorten

_TOP, _BOTTOM = 6, 42  # margins above and below the bars
_ROW = 20  # height of a bar with its gap
_NAME = 26  # letters of a bar's name


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        name: text to its left.
        value: its length.
        text: the value, beside its end.
    """

    name: str
    value: float
    text: str


def bar_chart(name: str, title: str, bars: Sequence[Bar], axis: str, note: str = "") -> Figure:
    """Bars below each other in the given order; negative ones have the color of a loss.

    Args:
        name: of the file.
        title: what is shown.
        bars: from top to bottom.
        axis: label of the axis of values.
        note: text below the drawing.
    """
    names = [shorten(bar.name, _NAME) for bar in bars]
    left = 14 + LETTER * max(len(name) for name in names)
    right = 16 + LETTER * max(len(bar.text) for bar in bars)
    values = Axis.around(axis, [0.0, *(bar.value for bar in bars)])
    bottom = _TOP + _ROW * len(bars)
    low = left + (right if values.fraction(0) > 0.1 else 0)  # room for texts of negative bars
    high = WIDTH - right

    def x_of(value: float) -> float:
        return low + values.fraction(value) * (high - low)

    frame, rectangles = [], []
    for value, text in values.ticks():
        frame.append(line(x_of(value), _TOP, x_of(value), bottom, color("grid")))
        frame.append(label(x_of(value), bottom + 16, text, "middle"))
    frame.append(label((low + high) / 2, bottom + _BOTTOM - 6, axis, "middle"))
    frame.append(line(x_of(0), _TOP, x_of(0), bottom, color("quiet")))
    for number, (bar, shown) in enumerate(zip(bars, names, strict=True)):
        y = _TOP + _ROW * number
        start, end = sorted((x_of(0), x_of(bar.value)))
        fill = color("heat" if bar.value >= 0 else "loss")
        box = {"x": start, "y": y + 3, "width": max(end - start, 0.5), "height": _ROW - 6}
        tooltip = tag("title", f"{bar.name}: {bar.text}")
        rectangles.append(tag("rect", tooltip, **box, rx=2, fill=fill))
        x, anchor = (end + 6, "start") if bar.value >= 0 else (start - 6, "end")
        frame.append(label(left - 8, y + 14, shown, "end", fill=color("ink")))
        frame.append(label(x, y + 14, bar.text, anchor))
    return Figure(name, title, WIDTH, bottom + _BOTTOM, join([*frame, marks(rectangles)]), note)
