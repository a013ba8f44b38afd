"""Search the strongest value of a compression step's setting that accuracy allows."""

from collections.abc import Callable
from dataclasses import dataclass

from kdrun.compress.apply_step import Compressor

_BISECTIONS = 7  # which find a value to within a hundredth of the searched range


@dataclass(frozen=True)
class StrengthSearch:
    """A search over one setting of a step: `compress.target`.

    Attributes:
        max_drop: the validation accuracy that the step may lose, as a share of samples.
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
    """The strongest acceptable value, found by bisection; None if none is acceptable.

    A stronger value is taken to lose at least as much as a milder one. Where that is not so, the
    result is the strongest acceptable one of the values that were tried.

    Args:
        search: the range of values.
        is_acceptable: tries a value.
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
