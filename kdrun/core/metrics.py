"""The table of metrics, which are scores and costs: their names, computation and format.

To add a score, add a line to `SCORES` and its function to kdrun/measure/scores.py: evaluation,
tables, comparisons, reports, stop rules and searches read this table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kdrun.core.number_format import count, milliseconds, nats, percent

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
        compute: `module:function` that computes a score from `kdrun.measure.scores.Samples`.
        compared: whether `kdrun compare` has a column for it.
    """

    name: str
    title: str
    label: str
    unit: Unit
    better: Better
    compute: str = ""
    compared: bool = True


def _by_name(*metrics: Metric) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics}


# Metrics of a network's predictions. Files of older versions lack scores that were added later.
SCORES = _by_name(
    Metric("accuracy", "top-1\n%", "top-1", SHARE, "more", "kdrun.measure.scores:accuracy"),
    Metric("top5", "top-5\n%", "top-5", SHARE, "more", "kdrun.measure.scores:top5", False),
    Metric(
        "precision", "precision\n%", "macro precision", SHARE, "more",
        "kdrun.measure.scores:precision", False,
    ),
    Metric(
        "recall", "recall\n%", "macro recall", SHARE, "more", "kdrun.measure.scores:recall", False
    ),
    Metric("f1", "F1\n%", "macro F1", SHARE, "more", "kdrun.measure.scores:f1"),
    Metric("nll", "NLL\n", "NLL", NATS, "less", "kdrun.measure.scores:nll"),
    Metric("ece", "ECE\n%", "ECE", SHARE, "less", "kdrun.measure.scores:ece"),
)  # fmt: skip
AGREEMENT = Metric("agreement", "agrees\n%", "agreement with the teacher", SHARE, "")
COSTS = _by_name(
    Metric("bytes", "disk\nbytes", "bytes", Unit("bytes", "", 1, 3, count), "less"),
    Metric("macs", "MACs\n", "MACs", Unit("MACs", "", 1, 3, count), "less"),
    Metric(
        "parameters", "para-\nmeters", "parameters", Unit("parameters", "", 1, 3, count), "less"
    ),
    Metric("latency", "median\nms", "latency", Unit("ms", " ms", 1, 3, milliseconds), "less"),
)

# The scores that a stop rule can use: shares, where more is better.
STOP_SCORES = tuple(
    score.name for score in SCORES.values() if score.unit is SHARE and score.better == "more"
)


def leading(merged: bool = False) -> Metric:
    """Return the main metric of tables, by which epochs and settings are chosen on validation.

    It is one of `STOP_SCORES`: a share, of which more is better. With merged classes the main
    metric of tables is F1; validation still chooses by accuracy.

    Args:
        merged: whether the classes were merged into concepts, which may differ much in size.
    """
    return SCORES["f1" if merged else "accuracy"]
