"""Colored cells in rows and columns: heat maps and confusion matrices."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.report.figure import WIDTH, Figure
from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.palette import color
from kdrun.compare.report.shapes import LETTER, data_group, label, shorten, vertical_label

_TOP, _BOTTOM = 8, 24  # margins above the cells, and below the names of the columns
_FEW_ROWS = 12  # a matrix with at most as many rows has high cells
_MAX_HEIGHT_FEW, _MAX_HEIGHT_MANY = 34, 22  # greatest height of a cell with few or many rows
_MIN_TEXT_WIDTH = 20.0  # narrower cells show no text, only a tooltip


@dataclass(frozen=True)
class Cell:
    """A cell of a matrix.

    Attributes:
        shade: strength of the cell's color, from -1 to 1; the sign selects one of two colors.
        text: text in the cell.
        tooltip: text that is shown when the mouse points at the cell.
        framed: whether the cell has a frame.
    """

    shade: float
    text: str
    tooltip: str
    framed: bool = False


@dataclass(frozen=True)
class Side:
    """The rows or the columns of a matrix.

    Attributes:
        label: title of the axis.
        names: names of the rows or columns.
        letters: greatest length of a name; an ellipsis replaces the middle of longer names.
    """

    label: str
    names: Sequence[str]
    letters: int = 12

    @property
    def short_names(self) -> list[str]:
        """The names, each shortened to `letters` letters."""
        return [shorten(name, self.letters) for name in self.names]

    @property
    def name_width(self) -> float:
        """Width of the longest short name."""
        return LETTER * max(map(len, self.short_names))


class _Grid:
    """Positions and sizes of the cells, in SVG user units."""

    def __init__(self, rows: Side, columns: Side) -> None:
        self.left = 40 + rows.name_width
        self.cell_width = (WIDTH - self.left - 8) / len(columns.names)
        few_rows = len(rows.names) <= _FEW_ROWS
        self.cell_height = min(self.cell_width, _MAX_HEIGHT_FEW if few_rows else _MAX_HEIGHT_MANY)
        self.bottom = _TOP + self.cell_height * len(rows.names)

    def x_of(self, column: float) -> float:
        return self.left + self.cell_width * column

    def y_of(self, row: float) -> float:
        return _TOP + self.cell_height * row


def matrix_chart(
    name: str,
    title: str,
    rows: Side,
    columns: Side,
    cells: Sequence[Sequence[Cell | None]],
    note: str = "",
) -> Figure:
    """Draw a matrix of colored cells.

    Args:
        name: name of the figure's file, without suffix.
        title: title of the figure.
        rows: the rows, from top to bottom.
        columns: the columns, from left to right.
        cells: the cells of each row; None leaves a cell empty.
        note: text below the figure.
    """
    grid = _Grid(rows, columns)
    vertical = grid.cell_width < columns.name_width
    names_height = 14 + columns.name_width if vertical else 18
    height = grid.bottom + names_height + _BOTTOM
    frame = [*_row_names(rows, grid), *_column_names(columns, grid, vertical)]
    frame.append(label((grid.left + WIDTH - 8) / 2, height - 8, columns.label, "middle"))
    if rows.label:
        frame.append(vertical_label(12, (_TOP + grid.bottom) / 2, rows.label, "middle"))
    drawn = [
        _draw_cell(cell, grid, row, column)
        for row, row_cells in enumerate(cells)
        for column, cell in enumerate(row_cells)
        if cell is not None
    ]
    return Figure(name, title, WIDTH, height, join([*frame, data_group(drawn)]), note)


def _row_names(rows: Side, grid: _Grid) -> list[Markup]:
    size = min(12.0, grid.cell_height)
    return [
        label(grid.left - 6, grid.y_of(row + 0.5) + size / 3, name, "end", font_size=size)
        for row, name in enumerate(rows.short_names)
    ]


def _column_names(columns: Side, grid: _Grid, vertical: bool) -> list[Markup]:
    size = min(12.0, grid.cell_width)
    names = []
    for column, name in enumerate(columns.short_names):
        x = grid.x_of(column + 0.5)
        if vertical:
            names.append(vertical_label(x + size / 3, grid.bottom + 6, name, "end", font_size=size))
        else:
            names.append(label(x, grid.bottom + 15, name, "middle"))
    return names


def _draw_cell(cell: Cell, grid: _Grid, row: int, column: int) -> Markup:
    has_room = grid.cell_width >= _MIN_TEXT_WIDTH
    gap, strength = 1 if has_room else 0, abs(cell.shade)
    x, width = grid.x_of(column), grid.cell_width - gap
    y, height = grid.y_of(row), grid.cell_height - gap
    box = tag(
        "rect",
        tag("title", cell.tooltip),
        x=x,
        y=y,
        width=width,
        height=height,
        fill=color("positive" if cell.shade >= 0 else "negative"),
        fill_opacity=f"{0.04 + 0.96 * strength:.2f}",
        stroke=color("ink") if cell.framed else None,
        stroke_width=2 if cell.framed else None,
    )
    if not has_room or not cell.text:
        return box
    size = min(12.0, 1.5 * grid.cell_width / len(cell.text))
    text = label(
        x + width / 2,
        y + height / 2 + size / 3,
        cell.text,
        "middle",
        fill=color("on-fill" if strength > 0.55 else "ink"),
        font_size=size,
        pointer_events="none",
    )
    return join([box, text])
