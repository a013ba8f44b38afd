"""Tables of a page; a click on a column's title sorts the rows."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kdrun.compare.columns import Column
from kdrun.compare.report.markup import Markup, join, tag

_NUMBER = re.compile(r"^([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?: ([kMGT])(?!\w))?")
_FACTORS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_LONG = 30  # texts of at least as many letters may be broken into lines


def html_table(
    titles: Sequence[str], rows: Iterable[Markup], texts: Sequence[int] = (0,)
) -> Markup:
    """Return a table that can be sorted.

    Args:
        titles: titles of the columns.
        rows: `tr` elements.
        texts: indices of the columns that hold texts; the others hold numbers.
    """
    heads = [
        tag(
            "th",
            tag("button", title, type="button"),
            scope="col",
            class_="words" if number in texts else None,
        )
        for number, title in enumerate(titles)
    ]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="sortable")
    return tag("div", table, class_="scroll", tabindex=0)


def figures_table(
    columns: Sequence[Column], rows: Iterable[Any], marked: Callable[[Any], bool] = lambda _: False
) -> Markup:
    """Return a table of numbers, with the columns of the table on the terminal.

    Args:
        columns: functions that turn a row into the text of a cell, with their titles.
        rows: rows, of the type that the columns accept.
        marked: returns whether a row is highlighted.
    """
    body = [
        tag(
            "tr",
            *(cell(column.text(row), column.is_text) for column in columns),
            class_="chosen" if marked(row) else None,
        )
        for row in rows
    ]
    texts = [number for number, column in enumerate(columns) if column.is_text]
    return html_table([_breakable(column.one_line_title) for column in columns], body, texts)


def cell(content: Any, is_text: bool = False) -> Markup:
    """Return a cell; a cell whose text starts with a number is sorted by that number."""
    if is_text:
        return tag("td", content, class_="words key" if len(str(content)) < _LONG else "words")
    return tag("td", content, data_value=sort_value(str(content)))


def sort_value(text: str) -> str | None:
    """Return the number at the start of a text, such as 12000 for `12 k`; None without one."""
    match = _NUMBER.match(text)
    if not match:
        return None
    return repr(float(match[1]) * _FACTORS[match[2] or ""])


def _breakable(title: str) -> Markup:
    """Return a title that may break after the dots of a key."""
    first, *names = title.split(".")
    return join([first, *(piece for name in names for piece in (".", Markup("<wbr>"), name))])
