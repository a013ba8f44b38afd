"""A chart of horizontal bars from a line at 0, such as the gain of each class."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.figure import WIDTH, Figure
from kdrun.compare.report.markup import join, tag
from kdrun.compare.report.palette import color
from kdrun.compare.report.shapes import LETTER, data_group, label, line, shorten

_TOP, _BOTTOM = 6, 42  # margins above and below the bars
_ROW_HEIGHT = 20  # height of a bar with its gap
_MAX_NAME = 26  # longest name of a bar, in letters


@dataclass(frozen=True)
class Bar:
    """A bar of a chart.

    Attributes:
        name: text to the left of the bar.
        value: length of the bar; negative bars point to the left.
        text: the value as text, shown beside the end of the bar.
    """

    name: str
    value: float
    text: str


def bar_chart(name: str, title: str, bars: Sequence[Bar], axis: str, note: str = "") -> Figure:
    """Draw bars from top to bottom; negative bars have another color.

    Args:
        name: name of the figure's file, without suffix.
        title: title of the figure.
        bars: the bars, from top to bottom.
        axis: label of the axis of values.
        note: text below the figure.
    """
    names = [shorten(bar.name, _MAX_NAME) for bar in bars]
    left = 14 + LETTER * max(len(name) for name in names)
    right = 16 + LETTER * max(len(bar.text) for bar in bars)
    values = Axis.around(axis, [0.0, *(bar.value for bar in bars)])
    bottom = _TOP + _ROW_HEIGHT * len(bars)
    low = left + (right if values.fraction(0) > 0.1 else 0)  # room for texts of negative bars
    high = WIDTH - right

    def x_of(value: float) -> float:
        return low + values.fraction(value) * (high - low)

    frame, rectangles = [], []
    for value, text in values.ticks():
        frame.append(line(x_of(value), _TOP, x_of(value), bottom, color("grid")))
        frame.append(label(x_of(value), bottom + 16, text, "middle"))
    frame.append(label((low + high) / 2, bottom + _BOTTOM - 6, axis, "middle"))
    frame.append(line(x_of(0), _TOP, x_of(0), bottom, color("muted")))
    for number, (bar, short_name) in enumerate(zip(bars, names, strict=True)):
        y = _TOP + _ROW_HEIGHT * number
        start, end = sorted((x_of(0), x_of(bar.value)))
        fill = color("positive" if bar.value >= 0 else "negative")
        box = {"x": start, "y": y + 3, "width": max(end - start, 0.5), "height": _ROW_HEIGHT - 6}
        tooltip = tag("title", f"{bar.name}: {bar.text}")
        rectangles.append(tag("rect", tooltip, **box, rx=2, fill=fill))
        x, anchor = (end + 6, "start") if bar.value >= 0 else (start - 6, "end")
        frame.append(label(left - 8, y + 14, short_name, "end", fill=color("ink")))
        frame.append(label(x, y + 14, bar.text, anchor))
    return Figure(
        name, title, WIDTH, bottom + _BOTTOM, join([*frame, data_group(rectangles)]), note
    )
