"""Classification: one class for each sample."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kdrun.core.metrics import NATS, SHARE, Metric, by_name
from kdrun.task.base import Positions

if TYPE_CHECKING:
    from torch import Tensor

    from kdrun.core.types import Batch

# Files of older versions lack scores that were added later.
_SCORES = by_name(
    Metric(
        "accuracy", "top-1\n%", "top-1", SHARE, "more", "kdrun.measure.scores:accuracy",
        word="accuracy",
    ),
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


class Classification:
    """One class for each sample; led by the share of samples that are classified correctly."""

    name = "classification"
    scores: Mapping[str, Metric] = _SCORES
    meter = "kdrun.measure.metrics:Meter"
    half_width = "kdrun.measure.intervals:half_width"
    gain = "kdrun.measure.intervals:gain_of_predictions"
    hits = "accuracy"
    note = "Macro precision, recall and F1; "
    sections: tuple[str, ...] = (
        "kdrun.compare.report.calibration:calibration",
        "kdrun.compare.report.classes:classes",
        "kdrun.compare.report.soft_labels:soft_labels",
    )

    def leading(self, merged: bool = False) -> Metric:
        """Return top-1 accuracy; with merged classes, macro F1."""
        return self.scores["f1" if merged else "accuracy"]

    def positions(self, logits: "Tensor", batch: "Batch") -> Positions:
        """Return the output as it is: there is one prediction for each sample."""
        return Positions(logits, batch.targets)

    def running_scores(self, positions: Positions) -> "dict[str, Tensor]":
        """Return the accuracy; of samples without labels, the agreement with the teacher."""
        hits = positions.logits.detach().argmax(1) == positions.targets
        return {"accuracy": hits.float().mean()}


CLASSIFICATION = Classification()
