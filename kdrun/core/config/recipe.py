"""The config sections on training: the recipe, and when training ends."""

from typing import Any, Literal, Self

from pydantic import (
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from kdrun.core.config.types import Node, Section
from kdrun.core.ranges import UnitBelowOne


class Recipe(Section):
    """How a network is trained; units and ranges are in conf/recipe/."""

    epochs: PositiveInt
    max_steps: PositiveInt | None
    batch_size: PositiveInt
    accumulate: PositiveInt
    lr: PositiveFloat
    lr_by_model: dict[str, PositiveFloat] | None
    weight_decay: NonNegativeFloat
    warmup_epochs: NonNegativeFloat
    optimizer: Node
    schedule: Node
    augment: bool
    repeat_labeled: bool
    label_smoothing: UnitBelowOne
    mixup: NonNegativeFloat
    cutmix: NonNegativeFloat
    ema: UnitBelowOne
    clip_norm: PositiveFloat | None
    patience: PositiveInt | None
    select: Literal["last", "best"]

    def epochs_of(self, steps: int) -> int:
        """Return how many epochs of `steps` steps are trained, as `max_steps` limits them."""
        return self.within(self.epochs, steps)

    def within(self, epochs: int, steps: int) -> int:
        """Return how many of `epochs` epochs fit in `max_steps`, but at least one.

        Each phase of a loss is limited to `max_steps` separately.

        Args:
            epochs: number of epochs to train.
            steps: number of steps in an epoch.
        """
        if self.max_steps is None:
            return epochs
        return max(1, min(epochs, self.max_steps // steps))

    @field_validator("optimizer", "schedule", mode="before")
    @classmethod
    def _is_mapping(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            hint = {"hint": f"recipe/{info.field_name}={value}"}
            raise PydanticCustomError("choice", "is not a mapping; by name: {hint}", hint)
        return value

    @model_validator(mode="after")
    def _enough_samples(self) -> Self:
        if self.accumulate > self.batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} has too few samples for"
                f" accumulate={self.accumulate} micro-batches"
            )
        return self


def max_steps_note(recipe: Recipe, steps: int) -> str | None:
    """Return a sentence that says how many epochs `max_steps` allows; None if it allows all.

    Args:
        recipe: its `epochs` and `max_steps` are compared.
        steps: number of steps in an epoch.
    """
    epochs = recipe.epochs_of(steps)
    if epochs == recipe.epochs:
        return None
    return (
        f"recipe.max_steps={recipe.max_steps} allows {epochs} of the {recipe.epochs} epochs"
        "; for all of them: recipe.max_steps=null"
    )


class StopWhen(Section):
    """The validation score at which training ends: a value, or a score near another model's.

    Attributes:
        metric: the score; None: the leading one of the task.
        reaches: the value at which training ends.
        within: the greatest distance from the other model's score at which training ends.
        of: the other model.
    """

    metric: str | None = None
    reaches: NonNegativeFloat | None = None
    within: NonNegativeFloat | None = None
    of: Literal["teacher", "alone"] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        has_pair = (self.within is not None, self.of is not None)
        if (self.reaches is not None) == any(has_pair) or any(has_pair) != all(has_pair):
            raise ValueError("needs either reaches, or within and of")
        return self


class Stop(Section):
    """When the training of the student ends before its last epoch."""

    when: StopWhen | None
