"""HTML elements of a page: paragraphs, lists, tiles."""

from collections.abc import Iterable, Mapping
from typing import Any

from kdrun.compare.report.markup import Markup, tag


def facts(values: Mapping[str, Any]) -> Markup:
    """Return a list of names with their values, without empty values."""
    terms = [
        element
        for name, value in values.items()
        if value not in (None, "", [])
        for element in (tag("dt", name), tag("dd", value))
    ]
    return tag("dl", *terms)


def bullets(sentences: Iterable[str], kind: str = "notes") -> Markup:
    """Return a list of sentences; `kind` is its CSS class."""
    return tag("ul", *(tag("li", sentence) for sentence in sentences), class_=kind)


def muted_text(sentence: str) -> Markup:
    """Return a grey paragraph."""
    return tag("p", sentence, class_="muted")


def folded(title: str, *content: Markup) -> Markup:
    """Return content that is hidden until its title is clicked."""
    return tag("details", tag("summary", title), *content)


def tile(value: str, caption: str) -> Markup:
    """Return a large number with a caption, for the head of a page."""
    return tag("div", tag("b", value), tag("span", caption), class_="tile")
