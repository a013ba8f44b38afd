"""Elements of HTML and SVG, built from escaped text."""

from collections.abc import Iterable
from html import escape
from typing import Any

from kdrun.core.control_characters import show_controls

_VOID = ("img", "link", "meta")  # elements of HTML without content, which are not closed


class Markup(str):
    """HTML or SVG text that is already escaped."""

    __slots__ = ()


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """Return an element; attributes, and children other than `Markup`, are escaped.

    Args:
        name: name of the element.
        children: text, numbers or elements; None is skipped.
        attributes: `class_` stands for class, `stroke_width` for stroke-width. Floats have one
            decimal; None is skipped; True gives an attribute without a value.
    """
    text = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{text}>")
    return Markup(f"<{name}{text}>{join(children)}</{name}>")


def join(children: Iterable[Any]) -> Markup:
    """Join elements and text, which is escaped; None is skipped."""
    return Markup("".join(_escaped(child) for child in children if child is not None))


def _escaped(child: Any) -> str:
    return child if isinstance(child, Markup) else escape(show_controls(str(child)))


def _attribute(key: str, value: Any) -> str:
    if value is None:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return (
        f" {name}"
        if value is True
        else f' {name}="{escape(show_controls(_attribute_text(value)))}"'
    )


def _attribute_text(value: Any) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
