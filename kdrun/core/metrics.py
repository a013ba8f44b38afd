"""Metrics, which are scores and costs: their names, computation and format.

The scores of a task are in its file in kdrun/task/: evaluation, tables, comparisons, reports, stop
rules and searches read them there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isnan
from typing import Literal

from kdrun.core.number_format import capitalize, count, milliseconds, nats, percent

Better = Literal["more", "less", ""]


@dataclass(frozen=True)
class Unit:
    """How values of a metric are printed.

    Attributes:
        name: the unit of a difference: `0.52 points`.
        sign: the text after a value in a sentence, with its space: ` %`.
        factor: a value in records, multiplied by it, has this unit.
        decimals: number of decimals of a difference.
        text: function that formats a value, without the sign.
    """

    name: str
    sign: str
    factor: float
    decimals: int
    text: Callable[[float], str]


SHARE = Unit("points", " %", 100, 2, percent)  # values in 0..1
NATS = Unit("nats", " nats", 1, 3, nats)


@dataclass(frozen=True)
class Metric:
    """A score or a cost of a network.

    Attributes:
        name: its key in records, and its name on the command line.
        title: title of its column, in two lines.
        label: its name in sentences.
        unit: how its values are printed.
        better: whether more or less is better; empty if neither is.
        compute: `module:function` that computes a score from what the task's meter collected.
        compared: whether `kdrun compare` has a column for it.
        word: its name in titles; the label if empty.
    """

    name: str
    title: str
    label: str
    unit: Unit
    better: Better
    compute: str = ""
    compared: bool = True
    word: str = ""

    @property
    def heading(self) -> str:
        """Its name in titles: `Accuracy`."""
        return capitalize(self.word or self.label)

    def axis(self, split: str = "") -> str:
        """Return the label of an axis: `validation accuracy, %`."""
        unit = self.unit.sign.strip()
        return " ".join([*([split] if split else []), self.word or self.label]) + f", {unit}"

    @property
    def sign(self) -> int:
        """1 if more is better, -1 if less is."""
        return -1 if self.better == "less" else 1

    @property
    def worse(self) -> str:
        """The word for a worse value."""
        return "above" if self.better == "less" else "below"

    def change_text(self, value: float) -> str:
        """Return a difference in the unit of tables, with its sign: `+0.52`."""
        return f"{self.unit.factor * value:+.{self.unit.decimals}f}"

    def beats(self, value: float, other: float) -> bool:
        """Return whether a value is better than another; every number is better than NaN."""
        if isnan(other):
            return not isnan(value)
        return self.sign * value > self.sign * other

    def best(self, values: Iterable[float]) -> float:
        """Return the best of some values, which must be numbers."""
        return max(values, key=lambda value: self.sign * value)

    def text(self, value: float) -> str:
        """Return a value with the sign of its unit: `93.21%`, `0.532 nats`."""
        return f"{self.unit.text(value)}{self.unit.sign.replace(' %', '%')}"


def by_name(*metrics: Metric) -> dict[str, Metric]:
    """Return metrics by their names."""
    return {metric.name: metric for metric in metrics}


AGREEMENT = Metric("agreement", "agrees\n%", "agreement with the teacher", SHARE, "")
COSTS = by_name(
    Metric("bytes", "disk\nbytes", "bytes", Unit("bytes", "", 1, 3, count), "less"),
    Metric("macs", "MACs\n", "MACs", Unit("MACs", "", 1, 3, count), "less"),
    Metric(
        "parameters", "para-\nmeters", "parameters", Unit("parameters", "", 1, 3, count), "less"
    ),
    Metric("latency", "median\nms", "latency", Unit("ms", " ms", 1, 3, milliseconds), "less"),
)
