"""Steps in which a network learns on: to recover from what a step before took away."""

from typing import Any

from pydantic import PositiveFloat
from torch import nn

from kdrun.core.errors import UserError
from kdrun.core.types import DataInfo
from kdrun.stage.base import Stage
from kdrun.step.base import Before, Rounds


class Distill:
    """The network learns on from its teacher, with the loss that it learned with.

    Args:
        loss: the node of another loss.
        lr_share: of the recipe's learning rate.
        recipe: keys that differ from the run's recipe.
    """

    rounds: Rounds = ""

    def __init__(
        self, loss: dict[str, Any] | None, lr_share: PositiveFloat, recipe: dict[str, Any] | None
    ) -> None:
        self.loss, self.lr_share, self.recipe = loss, lr_share, recipe

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """What learns on is tried where all that learns is."""
        return network

    def stages(self, before: Before) -> list[Stage]:
        """One stage.

        Raises:
            UserError: there is no teacher.
        """
        stage = before.taught(self.loss, before.recipe(self.lr_share, self.recipe))
        if not stage.teachers:
            raise UserError(
                "there is no teacher to distill from: this scheme has none.",
                "  let it learn on from the labels: finetune in the place of distill",
            )
        return [stage]


class Finetune:
    """The network learns on from the labels.

    Args:
        lr_share: of the recipe's learning rate.
        recipe: keys that differ from the run's recipe.
    """

    rounds: Rounds = ""

    def __init__(self, lr_share: PositiveFloat, recipe: dict[str, Any] | None) -> None:
        self.lr_share, self.recipe = lr_share, recipe

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """What learns on is tried where all that learns is."""
        return network

    def stages(self, before: Before) -> list[Stage]:
        """One stage."""
        return [before.alone(before.recipe(self.lr_share, self.recipe))]
