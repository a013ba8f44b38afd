"""How much a term counts: a number, or one that changes over the epochs."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, model_validator

from kdrun.core.types import Progress


class Ramp(BaseModel):
    """A weight over time: it rises, stays, falls and ends; all linear, in epochs.

    Attributes:
        value: the weight between rise and fall.
        warmup: epochs in which it rises from 0.
        decay: epochs, before `until`, in which it falls to 0.
        until: the epoch from which on it is 0; null: it never is.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    value: NonNegativeFloat
    warmup: NonNegativeFloat = 0.0
    decay: NonNegativeFloat = 0.0
    until: PositiveFloat | None = None

    @model_validator(mode="after")
    def _decay_has_an_end(self) -> Self:
        if self.decay and self.until is None:
            raise ValueError("decay needs until: the epoch at which it has reached 0")
        return self

    def at(self, epoch: float) -> float:
        """The weight at a fractional epoch, counted from 0."""
        value = self.value
        if epoch < self.warmup:
            value *= epoch / self.warmup
        if self.until is not None:
            left = self.until - epoch
            value *= min(1.0, max(0.0, left / self.decay)) if self.decay else float(left > 0)
        return value


Weight = NonNegativeFloat | Ramp


def weight_at(weight: Any, progress: Progress) -> float:
    """What a weight of the config is worth at a step.

    Args:
        weight: a number, or the keys of a `Ramp`.
        progress: the step.
    """
    if not isinstance(weight, Mapping):
        return float(weight)
    return Ramp.model_validate(weight).at(_epoch(progress))


def ramp_at(weight: Any, progress: Progress) -> float:
    """The share of its full value that a weight has at a step: below 1 as it rises or falls."""
    if not isinstance(weight, Mapping) or not weight["value"]:
        return 1.0
    return Ramp.model_validate({**weight, "value": 1.0}).at(_epoch(progress))


def _epoch(progress: Progress) -> float:
    return progress.step / max(1, progress.steps) * progress.epochs
