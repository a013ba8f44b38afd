"""An axis of a plot: maps values to positions, and places ticks at round values."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from kdrun.core.number_format import count

_INTERVALS = 5  # approximate number of intervals between ticks


class Tick(NamedTuple):
    """A value of an axis with its label."""

    value: float
    text: str


@dataclass(frozen=True)
class Axis:
    """One direction of a plot.

    Attributes:
        label: name and unit of the quantity.
        low: value at the start of the axis.
        high: value at the end of the axis, above `low`.
        log: whether the axis is logarithmic.
        integers: whether only whole numbers have ticks.
    """

    label: str
    low: float
    high: float
    log: bool = False
    integers: bool = False

    @classmethod
    def around(
        cls, label: str, values: Iterable[float], log: bool = False, integers: bool = False
    ) -> "Axis":
        """Return an axis that covers the finite values with a margin, or 0 to 1 without values."""
        finite = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
        if not finite:
            return cls(label, 1.0 if log else 0.0, 10.0 if log else 1.0, log, integers)
        low, high = min(finite), max(finite)
        if log:
            margin = max((high / low) ** 0.12, 1.15)
            return cls(label, low / margin, high * margin, log, integers)
        equal = high - low <= 1e-9 * abs(high)
        margin = (0.05 * abs(high) or 1.0) if equal else 0.06 * (high - low)
        return cls(label, low - margin, high + margin, log, integers)

    def fraction(self, value: float) -> float:
        """Return the position of a value: 0 at the start of the axis, 1 at its end."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[Tick]:
        """Return ticks at round values between `low` and `high`."""
        return self._log_ticks() if self.log else self._linear_ticks()

    def _linear_ticks(self) -> list[Tick]:
        step = nice_step((self.high - self.low) / _INTERVALS)
        if self.integers:
            step = max(1.0, step)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        values = [number * step for number in range(first, last + 1)]
        return [Tick(value, _text(value, decimals)) for value in values]

    def _log_ticks(self) -> list[Tick]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            values = [factor * 10.0**power for power in powers for factor in factors]
            inside = [value for value in values if self.low <= value <= self.high]
            if len(inside) <= _INTERVALS + 1:
                break
        if len(inside) < 2:  # the axis is shorter than the distance of two logarithmic ticks
            return Axis(self.label, self.low, self.high)._linear_ticks()
        inside = inside[:: -(-len(inside) // (_INTERVALS + 1))]
        return [Tick(value, count(value) if value >= 1 else f"{value:g}") for value in inside]


def nice_step(step: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def _text(value: float, decimals: int) -> str:
    """Format the value of a tick: 0 has no minus sign, and 10,000 is written as `10 k`."""
    if abs(value) >= 10_000:
        return count(value)
    text = f"{value:.{decimals}f}"
    return text if round(value, decimals) else text.replace("-0", "0")
