"""From values to places on a drawing, with ticks that people would choose."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from kdrun.core.number_format import count

_TICKS = 5  # about as many intervals


@dataclass(frozen=True)
class Axis:
    """One direction of a plot.

    Attributes:
        label: what is measured, with its unit.
        low: the value at its start.
        high: the value at its end, above `low`.
        log: whether equal steps are equal factors.
        whole: whether there are ticks at whole numbers alone.
    """

    label: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    @classmethod
    def around(
        cls, label: str, values: Iterable[float], log: bool = False, whole: bool = False
    ) -> "Axis":
        """An axis that holds the values, with some room beside them; of none, from 0 to 1."""
        found = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
        if not found:
            return cls(label, 1.0 if log else 0.0, 10.0 if log else 1.0, log, whole)
        low, high = min(found), max(found)
        if log:
            room = max((high / low) ** 0.12, 1.15)
            return cls(label, low / room, high * room, log, whole)
        alike = high - low <= 1e-9 * abs(high)
        room = (0.05 * abs(high) or 1.0) if alike else 0.06 * (high - low)
        return cls(label, low - room, high + room, log, whole)

    def place(self, value: float) -> float:
        """Where a value is, from 0 at the start to 1 at the end."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Values and their words, within the axis."""
        return self._log_ticks() if self.log else self._even_ticks()

    def _even_ticks(self) -> list[tuple[float, str]]:
        step = nice_step((self.high - self.low) / _TICKS)
        if self.whole:
            step = max(1.0, step)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        places = max(0, -math.floor(math.log10(step) + 1e-9))
        return [
            (number * step, _number(number * step, places)) for number in range(first, last + 1)
        ]

    def _log_ticks(self) -> list[tuple[float, str]]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            found = [factor * 10.0**power for power in powers for factor in factors]
            inside = [value for value in found if self.low <= value <= self.high]
            if len(inside) <= _TICKS + 1:
                break
        if len(inside) < 2:  # within one step: as if it were even
            return Axis(self.label, self.low, self.high)._even_ticks()
        inside = inside[:: -(-len(inside) // (_TICKS + 1))]
        return [(value, count(value) if value >= 1 else f"{value:g}") for value in inside]


def nice_step(step: float) -> float:
    """The next of 1, 2, 5, 10, ... times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def _number(value: float, places: int) -> str:
    """Without a minus before nothing; thousands as a letter."""
    if abs(value) >= 10_000:
        return count(value)
    return (
        f"{value:.{places}f}".replace("-0", "0")
        if not round(value, places)
        else (f"{value:.{places}f}")
    )
