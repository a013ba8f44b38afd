"""Horizontal bars from a line at 0: who gains, who loses."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.report.axis import Axis
from kdrun.compare.report.drawing import LETTER, WIDTH, Figure, label, line, shortened
from kdrun.compare.report.markup import join, tag
from kdrun.compare.report.palette import color

_ROW, _TOP, _BELOW, _MOST = 20, 6, 42, 26


@dataclass(frozen=True)
class Bar:
    """One bar: its name, its length, and what it says beside it."""

    name: str
    value: float
    words: str


def bar_chart(name: str, title: str, bars: Sequence[Bar], axis: str, note: str = "") -> Figure:
    """Bars below each other in the order given; those below 0 have the color of a loss."""
    names = [shortened(bar.name, _MOST) for bar in bars]
    left = 14 + LETTER * max(len(name) for name in names)
    right = 16 + LETTER * max(len(bar.words) for bar in bars)
    x = Axis.around(axis, [0.0, *(bar.value for bar in bars)])
    height = _TOP + _ROW * len(bars) + _BELOW
    low = left + (right if x.place(0) > 0.1 else 0)  # room for the words of bars to the left
    high = WIDTH - right

    def place(value: float) -> float:
        return low + x.place(value) * (high - low)

    bottom = _TOP + _ROW * len(bars)
    parts = []
    for value, words in x.ticks():
        parts.append(line(place(value), _TOP, place(value), bottom, color("grid")))
        parts.append(label(place(value), bottom + 16, words, "middle"))
    parts.append(label((low + high) / 2, height - 6, axis, "middle"))
    parts.append(line(place(0), _TOP, place(0), bottom, color("quiet")))
    marks = []
    for number, (bar, words) in enumerate(zip(bars, names, strict=True)):
        y = _TOP + _ROW * number
        start, end = sorted((place(0), place(bar.value)))
        fill = color("heat" if bar.value >= 0 else "loss")
        told = tag("title", f"{bar.name}: {bar.words}")
        width = max(end - start, 0.5)
        marks.append(
            tag("rect", told, x=start, y=y + 3, width=width, height=_ROW - 6, rx=2, fill=fill)
        )
        beside = (end + 6, "start") if bar.value >= 0 else (start - 6, "end")
        parts.append(label(left - 8, y + 14, words, "end", fill=color("ink")))
        parts.append(label(beside[0], y + 14, bar.words, beside[1]))
    body = join([*parts, tag("g", join(marks), class_="marks")])
    return Figure(name, title, WIDTH, height, body, note)
