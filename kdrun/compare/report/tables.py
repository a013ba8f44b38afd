"""Cells of tables, with the numbers that they are sorted by; and small parts of a page."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kdrun.compare.columns import Column
from kdrun.compare.report.markup import Markup, join, tag
from kdrun.compare.report.page import table

_NUMBER = re.compile(r"^([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?: ([kMGT])(?!\w))?")
_THOUSANDS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def figures_table(
    columns: Sequence[Column], rows: Iterable[Any], marked: Callable[[Any], bool] = lambda _: False
) -> Markup:
    """A row for each of the rows, as the columns show it; marked ones stand out."""
    wordy = [number for number, column in enumerate(columns) if column.words]
    body = [
        tag(
            "tr",
            *(cell(column.text(row), column.words) for column in columns),
            class_="chosen" if marked(row) else None,
        )
        for row in rows
    ]
    return table([one_line(column.title) for column in columns], body, wordy)


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


def one_line(title: str) -> Markup:
    """A column's name, which a terminal breaks, in one line; a key may be broken at its dots."""
    words = title.replace("-\n", "").replace("\n", " ").strip()
    first, *others = words.split(".")
    return join([first, *(part for other in others for part in (".", Markup("<wbr>"), other))])
