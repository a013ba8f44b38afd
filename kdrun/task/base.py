"""The interface of a task."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kdrun.core.metrics import Metric

if TYPE_CHECKING:
    from torch import Tensor

    from kdrun.core.types import Batch


class Positions(NamedTuple):
    """The predictions that count: one for each sample, token or frame.

    Attributes:
        logits: (N, C).
        targets: (N,) int64.
    """

    logits: "Tensor"
    targets: "Tensor"


class Task(Protocol):
    """What networks answer, and how the answers are scored.

    It imports no torch, as the command line and the comparison of runs read it.

    Attributes:
        name: its name in `TASKS`.
        scores: its metrics by name, in the order of tables.
        meter: "module:class" of what collects predictions and computes the scores; see
            `kdrun.measure.metrics.Meter`.
        half_width: "module:function" from the leading score and the number of samples to the half
            width of its 95 % interval; empty if none is known from these.
        gain: "module:function" from the predictions of two models for the same samples to the
            difference of their leading scores with its interval.
        hits: the name of the score that is the share of samples whose stored prediction is their
            target, by which single runs are tested against each other; empty if there is none.
        note: what a run's notes say about the scores, as the beginning of a sentence.
        sections: "module:function" of sections that only reports of this task have.
    """

    name: str
    scores: Mapping[str, Metric]
    meter: str
    half_width: str
    gain: str
    hits: str
    note: str
    sections: tuple[str, ...]

    def leading(self, merged: bool = False) -> Metric:
        """Return the main metric, by which epochs and settings are chosen on validation.

        Args:
            merged: whether the classes were merged into concepts, which may differ much in size.
                Then this is the main metric of tables alone.
        """

    def positions(self, logits: "Tensor", batch: "Batch") -> Positions:
        """Return the predictions that count of a network's output for a batch."""

    def running_scores(self, positions: Positions) -> "dict[str, Tensor]":
        """Return scores of a training step, scalars, which are averaged over an epoch."""
