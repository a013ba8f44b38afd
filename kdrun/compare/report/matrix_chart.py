"""Colored cells in rows and columns: heat maps and confusion matrices."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.report.drawing import LETTER, WIDTH, Figure, label, shortened
from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.palette import color

_TOP, _BELOW = 8, 24
_TALL, _LOW, _FEW = 34, 22, 12  # height of a cell, at most: of a few rows, and of more
_READABLE = 20.0  # a cell's width below which its words are left to what is said when pointed at


@dataclass(frozen=True)
class Cell:
    """One field.

    Attributes:
        shade: from -1 to 1: how strong its color is; below 0 the color of a loss.
        words: in it.
        told: when it is pointed at.
        framed: whether a frame sets it off.
    """

    shade: float
    words: str
    told: str
    framed: bool = False


@dataclass(frozen=True)
class Side:
    """The rows, or the columns.

    Attributes:
        label: what they are.
        names: of each.
        letters: of a name; the middle of longer ones is left out.
    """

    label: str
    names: Sequence[str]
    letters: int = 12

    @property
    def short(self) -> list[str]:
        return [shortened(name, self.letters) for name in self.names]


def matrix_chart(
    name: str,
    title: str,
    rows: Side,
    columns: Side,
    cells: Sequence[Sequence[Cell | None]],
    note: str = "",
) -> Figure:
    """Cells by rows and columns; None is a place without a value."""
    left = 40 + LETTER * max(map(len, rows.short))
    wide = (WIDTH - left - 8) / len(columns.names)
    tall = min(wide, _TALL if len(rows.names) <= _FEW else _LOW)
    bottom = _TOP + tall * len(rows.names)
    longest = LETTER * max(map(len, columns.short))
    turned = 0 if wide >= longest else 14 + longest
    height = bottom + (turned or 18) + _BELOW
    parts = _names(rows, columns, left, wide, tall, bottom, bool(turned))
    parts.append(label((left + WIDTH - 8) / 2, height - 8, columns.label, "middle"))
    if rows.label:
        middle = (_TOP + bottom) / 2
        turn = f"rotate(-90 12 {middle:.1f})"
        parts.append(label(12, middle, rows.label, "middle", transform=turn))
    marks = [
        _cell(cell, left + wide * column, _TOP + tall * row, wide, tall)
        for row, line in enumerate(cells)
        for column, cell in enumerate(line)
        if cell is not None
    ]
    body = join([*parts, tag("g", join(marks), class_="marks")])
    return Figure(name, title, WIDTH, height, body, note)


def _names(
    rows: Side, columns: Side, left: float, wide: float, tall: float, bottom: float, turned: bool
) -> list[Markup]:
    size = min(12.0, tall)
    parts = [
        label(left - 6, _TOP + tall * (row + 0.5) + size / 3, name, "end",
              font_size=size)
        for row, name in enumerate(rows.short)
    ]  # fmt: skip
    for column, name in enumerate(columns.short):
        x = left + wide * (column + 0.5)
        if turned:
            at = f"rotate(-90 {x:.1f} {bottom + 6:.1f})"
            size = min(12.0, wide)
            parts.append(label(x, bottom + 6 + size / 3, name, "end", transform=at, font_size=size))
        else:
            parts.append(label(x, bottom + 15, name, "middle"))
    return parts


def _cell(cell: Cell, x: float, y: float, wide: float, tall: float) -> Markup:
    strength = abs(cell.shade)
    fill = color("heat" if cell.shade >= 0 else "loss")
    gap = 1 if wide >= _READABLE else 0
    box = tag(
        "rect",
        tag("title", cell.told),
        x=x,
        y=y,
        width=wide - gap,
        height=tall - gap,
        fill=fill,
        fill_opacity=f"{0.04 + 0.96 * strength:.2f}",
        stroke=color("ink") if cell.framed else None,
        stroke_width=2 if cell.framed else None,
    )
    if wide < _READABLE or not cell.words:
        return box
    size = min(12.0, 1.5 * wide / len(cell.words))
    ink = color("on-heat" if strength > 0.55 else "ink")
    middle = (x + (wide - gap) / 2, y + (tall - gap) / 2 + size / 3)
    words = label(*middle, cell.words, "middle", fill=ink, font_size=size, pointer_events="none")
    return join([box, words])
