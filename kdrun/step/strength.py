"""The strength of a compression step: how much it changes a network."""

from collections.abc import Mapping
from typing import NamedTuple

from kdrun.core.errors import UserError


class Strength(NamedTuple):
    """The setting of a step that `compress.target` searches.

    Attributes:
        key: the setting.
        mild: its value that changes the network least.
        strong: its value that changes the network most.
        excludes: other settings that determine the strength; they must be null in a search.
    """

    key: str
    mild: float
    strong: float
    excludes: tuple[str, ...]


class Goal(NamedTuple):
    """A setting that determines the strength of a step, and its value."""

    key: str
    value: float


def the_goal(goals: Mapping[str, float | None]) -> Goal:
    """Return the one setting that determines the strength: the only one that is not null.

    Raises:
        UserError: none or several are given.
    """
    chosen = [Goal(key, value) for key, value in goals.items() if value is not None]
    if len(chosen) != 1:
        *first, last = goals
        raise UserError(
            f"exactly one of {', '.join(first)} and {last} is needed, and"
            f" {len(chosen) or 'none'} are given.",
            f"  set the others to null, e.g. {chosen[0].key}=null"
            if chosen
            else f"  give one of them a number, e.g. {first[0]}=0.5",
        )
    return chosen[0]
