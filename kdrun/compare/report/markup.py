"""Elements of HTML and SVG: whatever is no element already is escaped."""

from collections.abc import Iterable
from html import escape
from typing import Any

_VOID = ("img", "link", "meta")  # elements of HTML that hold nothing and are not closed


class Markup(str):
    """Text that is HTML or SVG already, and goes into a page as it is."""

    __slots__ = ()


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """An element; children that are no `Markup`, and all attributes, are escaped.

    Args:
        name: of the element.
        children: text, numbers or elements; None is left out.
        attributes: `class_` is class, `stroke_width` is stroke-width; numbers are written to a
            tenth; None is left out, True is an attribute without a value.
    """
    words = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{words}>")
    return Markup(f"<{name}{words}>{join(children)}</{name}>")


def join(parts: Iterable[Any]) -> Markup:
    """Elements and escaped text one after the other."""
    return Markup("".join(_escaped(part) for part in parts if part is not None))


def _escaped(part: Any) -> str:
    return part if isinstance(part, Markup) else escape(str(part))


def _attribute(key: str, value: Any) -> str:
    if value is None:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(_written(value))}"'


def _written(value: Any) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
