"""What losses around another one share: how the whole calls what belongs to the one inside."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from kdrun.core.types import Phase
from kdrun.loss.base import Loss

Value = TypeVar("Value")


def inner_phases(loss: Loss) -> tuple[Phase, ...]:
    """The phases of a loss that the whole keeps as its attribute `loss`."""
    return tuple(
        replace(phase, trains=tuple(_whole(glob) for glob in phase.trains))
        for phase in loss.phases()
    )


def begun(start: str, named: Mapping[str, Value]) -> dict[str, Value]:
    """The same under longer names."""
    return {start + name: value for name, value in named.items()}


def picked(start: str, named: Mapping[str, Value]) -> dict[str, Value]:
    """Those whose names begin so, under the rest of their names."""
    return {
        name.removeprefix(start): value for name, value in named.items() if name.startswith(start)
    }


def _whole(glob: str) -> str:
    return f"loss.{glob}" if glob.startswith("loss.") else glob
