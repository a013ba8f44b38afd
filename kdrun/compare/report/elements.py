"""Small elements of a page: paragraphs, lists, tiles, facts."""

from collections.abc import Iterable, Mapping
from typing import Any

from kdrun.compare.report.markup import Markup, tag


def facts(values: Mapping[str, Any]) -> Markup:
    """Names with their values; names without a value are left out."""
    terms = [
        element
        for name, value in values.items()
        if value not in (None, "", [])
        for element in (tag("dt", name), tag("dd", value))
    ]
    return tag("dl", *terms)


def bullets(sentences: Iterable[str], kind: str = "notes") -> Markup:
    """A list of sentences; `kind` is its CSS class."""
    return tag("ul", *(tag("li", sentence) for sentence in sentences), class_=kind)


def quiet(sentence: str) -> Markup:
    """A paragraph in grey."""
    return tag("p", sentence, class_="quiet")


def folded(title: str, *content: Markup) -> Markup:
    """Content that is hidden until its title is clicked."""
    return tag("details", tag("summary", title), *content)


def tile(value: str, caption: str) -> Markup:
    """A large figure with a caption, for the head of a page."""
    return tag("div", tag("b", value), tag("span", caption), class_="tile")
