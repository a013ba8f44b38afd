"""What every compression step implements."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from torch import nn

from kdrun.core.errors import UserError
from kdrun.core.types import DataInfo
from kdrun.stage.base import Stage

if TYPE_CHECKING:
    from kdrun.step.context import StepContext

Quantizes = Literal["layers", "network"]


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


class Step(Protocol):
    """One compression step. The keyword arguments of its constructor are its config node's keys.

    Attributes:
        quantizes: what the step rounds: `layers`, the weights of single layers; `network`, all
            weights and activations, with calibrated ranges; or None, nothing.
        strength: the setting that `compress.target` searches; None if it has none.
    """

    quantizes: Quantizes | None
    strength: Strength | None

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Check, before anything is trained, that the step can be applied to the network.

        Args:
            network: untrained, with the structure that the step will find. It may be changed.
            info: the dataset's sizes and classes.

        Returns:
            A network with the structure that the step leaves, as far as that is known by now.

        Raises:
            UserError: the step can't be applied.
        """
        ...

    def stages(self, context: "StepContext") -> list[Stage]:
        """The stages of the step, in order. The last one leaves the step's model."""
        ...


def check_one_goal(goals: Mapping[str, float | None]) -> None:
    """Check that exactly one of several settings is given that each determine the strength.

    Raises:
        UserError: none or several are given.
    """
    given = [key for key, value in goals.items() if value is not None]
    if len(given) != 1:
        *first, last = goals
        raise UserError(
            f"exactly one of {', '.join(first)} and {last} is needed, and"
            f" {len(given) or 'none'} are given.",
            f"  all but one are null, e.g. {first[0]}=null",
        )
