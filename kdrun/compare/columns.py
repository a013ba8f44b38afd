"""Tables that fit the terminal: where it is narrow there are more of them, and no figure is cut."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

_ANY = 10_000  # columns: wider than any table
_WORDS = 20  # columns of a name; longer ones are folded


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: in two lines at most.
        text: what it shows of a row.
        words: whether these are names, which may be folded, rather than figures.
        bold: whether it leads.
    """

    title: str
    text: Callable[[Any], str]
    words: bool = False
    bold: bool = False


def table_of(columns: Iterable[Column], rows: Iterable[Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    shown = list(columns)
    for column in shown:
        table.add_column(
            Text(column.title),
            justify="left" if column.words else "right",
            max_width=_WORDS if column.words else None,
            overflow="fold",
            style="bold" if column.bold else None,
        )
    for row in rows:
        table.add_row(*(Text(column.text(row)) for column in shown))
    return table


def tables_that_fit(
    first: Sequence[Column],
    columns: Sequence[Column],
    rows: Sequence[Any],
    console: Console,
    options: ConsoleOptions,
) -> list[Table]:
    """One table, or several below each other that all begin with the same columns.

    Each has about as many columns as the others; there are as few as the width allows.
    """
    for count in range(1, len(columns) + 1):
        parts = _parts(columns, count)
        tables = [table_of([*first, *part], rows) for part in parts]
        if count == len(columns) or all(fits(table, console, options) for table in tables):
            return tables
    return []


def _parts(columns: Sequence[Column], count: int) -> list[Sequence[Column]]:
    ends = [round(at * len(columns) / count) for at in range(count + 1)]
    return [columns[low:high] for low, high in pairwise(ends)]


def fits(table: Table, console: Console, options: ConsoleOptions) -> bool:
    widest = console.measure(table, options=options.update(width=_ANY)).maximum
    return widest <= options.max_width
