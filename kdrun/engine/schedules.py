"""Learning-rate schedules: pure functions of where a run is, so resuming needs no state."""

from collections.abc import Callable
from math import cos, floor, pi

from pydantic import PositiveFloat

from kdrun.core.ranges import OpenUnit, UnitAboveZero, UnitInterval

# (epochs done, epochs in all) -> share of the learning rate
Schedule = Callable[[float, int], float]

SCHEDULES = {
    "constant": "kdrun.engine.schedules:constant",
    "step": "kdrun.engine.schedules:step",
    "multistep": "kdrun.engine.schedules:multistep",
    "cosine": "kdrun.engine.schedules:cosine",
    "onecycle": "kdrun.engine.schedules:onecycle",
}


def constant() -> Schedule:
    """The learning rate as it is."""
    return lambda done, epochs: 1.0


def step(every: PositiveFloat, gamma: UnitAboveZero) -> Schedule:
    """Times gamma after every so many epochs."""
    return lambda done, epochs: gamma ** floor(done / every)


def multistep(milestones: list[PositiveFloat], gamma: UnitAboveZero) -> Schedule:
    """Times gamma at each milestone: an epoch, or a share of all epochs when below 1."""

    def share(done: float, epochs: int) -> float:
        # 0.55 of 100 epochs is 55, not the 55.00000000000001 of floating point.
        places = [at if at >= 1 else round(at * epochs, 6) for at in milestones]
        return gamma ** sum(done >= place for place in places)

    return share


def cosine(last: UnitInterval) -> Schedule:
    """Half a cosine from 1 to `last` (Loshchilov and Hutter 2017, equation 5, one period)."""
    return lambda done, epochs: _descend(done / epochs, 1.0, last)


def onecycle(first: UnitInterval, peak: OpenUnit, last: UnitInterval) -> Schedule:
    """Cosine up from `first` to 1 at `peak`, then down to `last` (Smith and Topin 2018)."""

    def share(done: float, epochs: int) -> float:
        at = done / epochs
        if at < peak:
            return _descend(at / peak, first, 1.0)
        return _descend((at - peak) / (1 - peak), 1.0, last)

    return share


def warm_up(schedule: Schedule, warmup_epochs: float, steps: int) -> Schedule:
    """The schedule, its first epochs scaled by a line that ends at 1.

    Args:
        schedule: what follows the warm-up and is scaled during it.
        warmup_epochs: the line's length in epochs.
        steps: steps of an epoch: the first step already moves, by one step's share.
    """

    def share(done: float, epochs: int) -> float:
        whole = schedule(done, epochs)
        if done >= warmup_epochs:
            return whole
        return whole * min(1.0, (done + 1 / steps) / warmup_epochs)

    return share


def _descend(at: float, start: float, end: float) -> float:
    return end + (start - end) * (1 + cos(pi * min(1.0, at))) / 2
