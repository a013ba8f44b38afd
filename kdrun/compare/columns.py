"""Tables that fit the terminal: if it is narrow, columns are split among several tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from kdrun.core.control_characters import one_line

_NAME_WIDTH = 20  # longer names are folded


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: the heading, in at most two lines.
        text: returns the cell's text for a row of the table.
        is_text: whether the cells are texts, which are aligned left and folded if long, rather than
            numbers, which are aligned right and never cut.
        bold: whether the column is shown in bold.
    """

    title: str
    text: Callable[[Any], str]
    is_text: bool = False
    bold: bool = False

    @property
    def one_line_title(self) -> str:
        """The heading in one line; a word that is divided at the end of the first is whole."""
        return self.title.replace("-\n", "").replace("\n", " ").strip()


def table_of(columns: Sequence[Column], rows: Sequence[Any]) -> Table:
    """Return a table with one row for each of `rows`."""
    return _table(columns, [_cells(column, rows) for column in columns])


def tables_that_fit(
    first: Sequence[Column], columns: Sequence[Column], rows: Sequence[Any], width: int
) -> list[Table]:
    """Return as few tables as the width allows.

    Args:
        first: the columns that each table begins with.
        columns: the other columns, which are split evenly among the tables.
        rows: the rows of each table.
        width: of the terminal, in characters.
    """
    all_columns = (*first, *columns)
    cells = {id(column): _cells(column, rows) for column in all_columns}
    widths = {id(column): _width(column, cells[id(column)]) for column in all_columns}
    for count in range(1, len(columns) + 1):
        tables = [[*first, *others] for others in _split(columns, count)]
        if all(_fits([widths[id(column)] for column in table], width) for table in tables):
            break
    return [_table(table, [cells[id(column)] for column in table]) for table in tables]


def fits(columns: Sequence[Column], rows: Sequence[Any], width: int) -> bool:
    """Return whether these columns fit the width as one table."""
    widths = [_width(column, _cells(column, rows)) for column in columns]
    return _fits(widths, width)


def _cells(column: Column, rows: Sequence[Any]) -> list[str]:
    return [one_line(column.text(row)) for row in rows]


def _split(columns: Sequence[Column], count: int) -> list[Sequence[Column]]:
    """Split columns into `count` sequences of about the same length."""
    bounds = [round(index * len(columns) / count) for index in range(count + 1)]
    return [columns[start:stop] for start, stop in pairwise(bounds)]


def _fits(widths: Sequence[int], width: int) -> bool:
    """Return whether columns of these widths fit.

    Rich puts a space before and after each column. To let Rich measure takes ten times as long.
    """
    return sum(widths) + 2 * len(widths) <= width


def _width(column: Column, cells: Sequence[str]) -> int:
    widest = max(map(cell_len, [*column.title.split("\n"), *cells]))
    return min(widest, _NAME_WIDTH) if column.is_text else widest


def _table(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(
            Text(column.title),
            justify="left" if column.is_text else "right",
            max_width=_NAME_WIDTH if column.is_text else None,
            overflow="fold",
            style="bold" if column.bold else None,
        )
    for row in zip(*cells, strict=True):
        table.add_row(*map(Text, row))
    return table
