"""Cells of tables, with the numbers that they are sorted by; and small parts of a page."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kdrun.compare.report.markup import Markup, tag
from kdrun.compare.report.page import table
from kdrun.compare.run_columns import Column

_NUMBER = re.compile(r"^([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?: ([kMGT])(?!\w))?")
_THOUSANDS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def figures_table(
    columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], words: Sequence[Column]
) -> Markup:
    """A row for each of the rows, as the columns show it."""
    wordy = [number for number, column in enumerate(columns) if column in words]
    body = [
        tag("tr", *(cell(show(row), number in wordy) for number, (_, show) in enumerate(columns)))
        for row in rows
    ]
    return table([_one_line(title) for title, _ in columns], body, wordy)


def cell(text: Any, words: bool = False) -> Markup:
    """A cell; what starts with a number is sorted by it, thousands as letters too."""
    if words:
        return tag("td", text, class_="words key" if len(str(text)) < 30 else "words")
    return tag("td", text, data_value=sort_value(str(text)))


def sort_value(text: str) -> str | None:
    """The number that a text starts with, in full; None where it starts with none."""
    found = _NUMBER.match(text)
    if not found:
        return None
    return repr(float(found[1]) * _THOUSANDS[found[2] or ""])


def facts(pairs: Mapping[str, Any]) -> Markup:
    """Names and values below each other; those without a value are left out."""
    shown = [
        part
        for name, value in pairs.items()
        if value not in (None, "", [])
        for part in (tag("dt", name), tag("dd", value))
    ]
    return tag("dl", *shown)


def listed(sentences: Iterable[str], kind: str = "notes") -> Markup:
    """Sentences as a list."""
    return tag("ul", *(tag("li", sentence) for sentence in sentences), class_=kind)


def quiet(sentence: str) -> Markup:
    """A sentence that stands back."""
    return tag("p", sentence, class_="quiet")


def folded(title: str, *parts: Markup) -> Markup:
    """What is shown when it is asked for."""
    return tag("details", tag("summary", title), *parts)


def tile(value: str, told: str) -> Markup:
    """A figure that leads."""
    return tag("div", tag("b", value), tag("span", told), class_="tile")


def _one_line(title: str) -> str:
    """A column's name, which a terminal breaks, in one line."""
    return title.replace("-\n", "").replace("\n", " ").strip()
