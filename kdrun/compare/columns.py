"""Tables that fit the terminal: a narrow one gets several tables, and no number is cut."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

_NAME_WIDTH = 20  # longer names are folded


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: in two lines at most.
        text: returns the cell's text for an item of the table.
        words: whether the cells are names, which may be folded, rather than numbers.
        bold: whether it is shown in bold.
    """

    title: str
    text: Callable[[Any], str]
    words: bool = False
    bold: bool = False


def table_of(columns: Iterable[Column], rows: Iterable[Any]) -> Table:
    shown = list(columns)
    return _table(shown, [[column.text(row) for row in rows] for column in shown])


def tables_that_fit(
    first: Sequence[Column], columns: Sequence[Column], rows: Sequence[Any], width: int
) -> list[Table]:
    """Return as few tables as the width allows, which all begin with the columns of `first`.

    The other columns are split evenly among them.
    """
    cells = {id(one): [one.text(row) for row in rows] for one in (*first, *columns)}
    widths = {id(one): _width(one, cells[id(one)]) for one in (*first, *columns)}
    for count in range(1, len(columns) + 1):
        parts = [[*first, *part] for part in _parts(columns, count)]
        if all(_fits([widths[id(one)] for one in part], width) for part in parts):
            break
    return [_table(part, [cells[id(one)] for one in part]) for part in parts]


def fits(columns: Sequence[Column], rows: Sequence[Any], width: int) -> bool:
    """Return whether these columns fit the width as one table."""
    return _fits([_width(one, [one.text(row) for row in rows]) for one in columns], width)


def _parts(columns: Sequence[Column], count: int) -> list[Sequence[Column]]:
    ends = [round(at * len(columns) / count) for at in range(count + 1)]
    return [columns[low:high] for low, high in pairwise(ends)]


def _fits(widths: Sequence[int], width: int) -> bool:
    """Rich puts a space before and after each column; asking it takes ten times as long."""
    return sum(widths) + 2 * len(widths) <= width


def _width(column: Column, cells: Sequence[str]) -> int:
    widest = max(map(cell_len, [*column.title.split("\n"), *cells]))
    return min(widest, _NAME_WIDTH) if column.words else widest


def _table(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(
            Text(column.title),
            justify="left" if column.words else "right",
            max_width=_NAME_WIDTH if column.words else None,
            overflow="fold",
            style="bold" if column.bold else None,
        )
    for row in zip(*cells, strict=True):
        table.add_row(*map(Text, row))
    return table
