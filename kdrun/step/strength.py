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


def check_one_goal(goals: Mapping[str, float | None]) -> None:
    """Check that exactly one of the settings that determine the strength is given.

    Raises:
        UserError: none or several are given.
    """
    chosen = [key for key, value in goals.items() if value is not None]
    if len(chosen) != 1:
        *first, last = goals
        raise UserError(
            f"exactly one of {', '.join(first)} and {last} is needed, and"
            f" {len(chosen) or 'none'} are given.",
            f"  all but one are null, e.g. {first[0]}=null",
        )
