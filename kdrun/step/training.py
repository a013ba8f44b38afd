"""Steps that train the network further, to recover the accuracy that another step cost."""

from typing import Any

from pydantic import PositiveFloat
from torch import nn

from kdrun.core.errors import UserError
from kdrun.core.types import DataInfo
from kdrun.stage.base import Stage
from kdrun.step.context import Quantizes, StepContext
from kdrun.step.strength import Strength


class Distill:
    """Train the network with its teacher, by default with the loss of its first training.

    Args:
        loss: config node of another loss.
        lr_share: factor of the recipe's learning rate.
        recipe: keys that differ from the run's recipe.
    """

    quantizes: Quantizes | None = None
    strength: Strength | None = None

    def __init__(
        self, loss: dict[str, Any] | None, lr_share: PositiveFloat, recipe: dict[str, Any] | None
    ) -> None:
        self.loss, self.lr_share, self.recipe = loss, lr_share, recipe

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Nothing to check here: the checks of all trainings include this one."""
        return network

    def stages(self, context: StepContext) -> list[Stage]:
        """Return one stage, which trains the network.

        Raises:
            UserError: there is no teacher.
        """
        stage = context.distill(self.loss, context.recipe(self.lr_share, self.recipe))
        if not stage.teachers:
            raise UserError(
                "there is no teacher to distill from: this scheme has none.",
                "  train with the labels alone: finetune in place of distill",
            )
        return [stage]


class Finetune:
    """Train the network with the labels alone.

    Args:
        lr_share: factor of the recipe's learning rate.
        recipe: keys that differ from the run's recipe.
    """

    quantizes: Quantizes | None = None
    strength: Strength | None = None

    def __init__(self, lr_share: PositiveFloat, recipe: dict[str, Any] | None) -> None:
        self.lr_share, self.recipe = lr_share, recipe

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Nothing to check here: the checks of all trainings include this one."""
        return network

    def stages(self, context: StepContext) -> list[Stage]:
        """Return one stage, which trains the network."""
        return [context.finetune(context.recipe(self.lr_share, self.recipe))]
