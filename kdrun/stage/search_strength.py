"""Searches the strongest value of a step's setting with which the score stays good enough."""

from collections.abc import Callable
from dataclasses import dataclass

from kdrun.compress.apply_step import Compressor

_BISECTIONS = 7  # they find a value to within a hundredth of the searched range


@dataclass(frozen=True)
class StrengthSearch:
    """A search over one setting of a step: `compress.target`.

    Attributes:
        max_drop: what the leading score on validation may lose, in its unit of records.
        key: the setting of the step's config node that is searched.
        mild: its value that changes the network least.
        strong: its value that changes the network most.
        make_step: builds the step with a value of the setting.
    """

    max_drop: float
    key: str
    mild: float
    strong: float
    make_step: Callable[[float], Compressor]


def find_strongest(search: StrengthSearch, is_acceptable: Callable[[float], bool]) -> float | None:
    """Find the strongest acceptable value by bisection; return None if none is acceptable.

    It assumes that a stronger value loses at least as much as a milder one. If this is
    false, the result is the strongest acceptable value among those that were tried.

    Args:
        search: the range of values.
        is_acceptable: tries a value and returns whether the score stays good enough.
    """
    acceptable, too_strong = search.mild, search.strong
    if is_acceptable(too_strong):
        return too_strong
    for _ in range(_BISECTIONS):
        middle = (acceptable + too_strong) / 2
        if is_acceptable(middle):
            acceptable = middle
        else:
            too_strong = middle
    return acceptable if acceptable != search.mild or is_acceptable(acceptable) else None
