"""Learning-rate schedules: pure functions of the finished epochs, so resuming needs no state."""

from collections.abc import Callable
from math import cos, floor, pi

from pydantic import PositiveFloat

from kdrun.core.ranges import OpenUnit, UnitAboveZero, UnitInterval

# (finished epochs, with fractions, and epochs in total) -> factor of the learning rate
Schedule = Callable[[float, int], float]

SCHEDULES = {
    "constant": "kdrun.engine.schedules:constant",
    "step": "kdrun.engine.schedules:step",
    "multistep": "kdrun.engine.schedules:multistep",
    "cosine": "kdrun.engine.schedules:cosine",
    "onecycle": "kdrun.engine.schedules:onecycle",
}


def constant() -> Schedule:
    """Keep the learning rate constant."""
    return lambda done, epochs: 1.0


def step(every: PositiveFloat, gamma: UnitAboveZero) -> Schedule:
    """Multiply the learning rate by gamma after every `every` epochs."""
    return lambda done, epochs: gamma ** floor(done / every)


def multistep(milestones: list[PositiveFloat], gamma: UnitAboveZero) -> Schedule:
    """Multiply by gamma at each milestone: an epoch, or if below 1, a share of all epochs."""

    def factor(done: float, epochs: int) -> float:
        # 0.55 of 100 epochs is 55, not the 55.00000000000001 of floating point.
        in_epochs = [value if value >= 1 else round(value * epochs, 6) for value in milestones]
        return gamma ** sum(done >= milestone for milestone in in_epochs)

    return factor


def cosine(last: UnitInterval) -> Schedule:
    """Descend along half a cosine from 1 to `last` (Loshchilov and Hutter 2017, equation 5)."""
    return lambda done, epochs: _descend(done / epochs, 1.0, last)


def onecycle(first: UnitInterval, peak: OpenUnit, last: UnitInterval) -> Schedule:
    """Rise along a cosine from `first` to 1 at `peak`, then descend to `last`.

    Smith and Topin 2018. `peak` is a share of the epochs.
    """

    def factor(done: float, epochs: int) -> float:
        position = done / epochs
        if position < peak:
            return _descend(position / peak, first, 1.0)
        return _descend((position - peak) / (1 - peak), 1.0, last)

    return factor


def warm_up(schedule: Schedule, warmup_epochs: float, steps: int) -> Schedule:
    """Scale the first epochs of a schedule by a factor that rises linearly to 1.

    Args:
        schedule: the schedule to scale.
        warmup_epochs: the length of the rise in epochs.
        steps: steps of an epoch; the factor starts at one step's rise, not at 0.
    """

    def factor(done: float, epochs: int) -> float:
        full = schedule(done, epochs)
        if done >= warmup_epochs:
            return full
        return full * min(1.0, (done + 1 / steps) / warmup_epochs)

    return factor


def _descend(position: float, start: float, end: float) -> float:
    return end + (start - end) * (1 + cos(pi * min(1.0, position))) / 2
