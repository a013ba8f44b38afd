"""Imports what a text names."""

from importlib import import_module
from typing import Any


def part_of(path: str) -> Any:
    """Return what "module:attribute" names; import its module.

    Raises:
        ImportError, AttributeError: there is no such module or attribute.
    """
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
