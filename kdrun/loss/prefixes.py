"""Prefixes that keep the tap names of an inner loss apart from those of its wrapper."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from kdrun.core.types import Output, TapShapes

Value = TypeVar("Value")
OptionalOutput = TypeVar("OptionalOutput", Output, Output | None)


def add_prefix(prefix: str, named: Mapping[str, Value]) -> dict[str, Value]:
    """Return the mapping with `prefix` before each name."""
    return {prefix + name: value for name, value in named.items()}


def strip_prefix(prefix: str, named: Mapping[str, Value]) -> dict[str, Value]:
    """Return the entries whose names start with `prefix`, without the prefix."""
    return {
        name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)
    }


def strip_tap_prefix(prefix: str, network: TapShapes) -> TapShapes:
    """Return the network with only the taps whose names start with `prefix`, without the prefix."""
    shapes, paths = strip_prefix(prefix, network.shapes), strip_prefix(prefix, network.paths)
    return TapShapes(shapes, network.network, paths)


def strip_output_prefix(prefix: str, output: OptionalOutput) -> OptionalOutput:
    """Return the output with only the taps whose names start with `prefix`, without the prefix."""
    return output and replace(output, taps=strip_prefix(prefix, output.taps))
