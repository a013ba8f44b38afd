"""Elements of HTML and SVG, built from escaped text."""

from collections.abc import Iterable
from html import escape
from typing import Any

_VOID = ("img", "link", "meta")  # elements of HTML without content, which are not closed


class Markup(str):
    """Text of HTML or SVG, which is not escaped again."""

    __slots__ = ()


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """An element; attributes, and children other than `Markup`, are escaped.

    Args:
        name: of the element.
        children: text, numbers or elements; None is left out.
        attributes: `class_` is class, `stroke_width` is stroke-width; numbers are written to a
            tenth; None is left out, True is an attribute without a value.
    """
    text = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{text}>")
    return Markup(f"<{name}{text}>{join(children)}</{name}>")


def join(children: Iterable[Any]) -> Markup:
    """Elements and escaped text one after the other; None is left out."""
    return Markup("".join(_escaped(child) for child in children if child is not None))


def _escaped(child: Any) -> str:
    return child if isinstance(child, Markup) else escape(str(child))


def _attribute(key: str, value: Any) -> str:
    if value is None:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(_attribute_text(value))}"'


def _attribute_text(value: Any) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
