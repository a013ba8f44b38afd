"""The weight of a loss term: a number, or one that changes over the epochs."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, model_validator

from kdrun.core.types import Progress

TABLE_EPOCHS = 240  # of the recipe of the CIFAR-100 tables, with which losses were published


class Ramp(BaseModel):
    """A weight that rises linearly from 0, stays, and falls linearly to 0.

    Attributes:
        value: the weight between rise and fall, 0 or more.
        warmup: epochs of the rise; if the run has fewer, the rise takes its share of 240 epochs.
        decay: epochs of the fall, which ends at `until`.
        until: the epoch from which on the weight is 0; None: it never falls.
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

    def at_epoch(self, epoch: float, epochs: int) -> float:
        """Return the weight at a fractional epoch, counted from 0, of so many epochs."""
        value, warmup = self.value, shorten(self.warmup, epochs)
        if epoch < warmup:
            value *= epoch / warmup
        if self.until is not None:
            remaining = self.until - epoch
            if self.decay:
                value *= min(1.0, max(0.0, remaining / self.decay))
            else:
                value *= float(remaining > 0)
        return value


def shorten(until: float, epochs: int) -> float:
    """Return an epoch of a run as it is or, if the run ends before it, its share of 240 epochs."""
    return until if until <= epochs else until * epochs / TABLE_EPOCHS


Weight = NonNegativeFloat | Ramp


def read_weight(node: Weight | Mapping[str, Any]) -> Weight:
    """Return a weight of the config: a number, or a mapping with the keys of a `Ramp`."""
    return Ramp.model_validate(node) if isinstance(node, Mapping) else node


def weight_at(weight: Weight, progress: Progress) -> float:
    """Return the value of a weight at a step."""
    if not isinstance(weight, Ramp):
        return float(weight)
    return weight.at_epoch(_epoch(progress), progress.epochs)


def ramp_share(weight: Weight, progress: Progress) -> float:
    """Return the value of a weight at a step as a share, 0 to 1, of its full value."""
    if not isinstance(weight, Ramp) or not weight.value:
        return 1.0
    whole = weight.model_copy(update={"value": 1.0})
    return whole.at_epoch(_epoch(progress), progress.epochs)


def _epoch(progress: Progress) -> float:
    """Return the epoch in which a step lies, with its fraction: 1.5 in the middle of epoch 1."""
    return progress.step / max(1, progress.steps) * progress.epochs
