"""Label smoothing, the control without a teacher."""

from typing import Unpack

from torch import Tensor

from kdrun.core.ranges import UnitBelowOne
from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.functional import label_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class LabelSmoothing(WeightedLoss):
    """Label smoothing: the control without a teacher.

    Formula:
        CE(q, z_s), q = (1 - e) onehot(y) + e / K; e: smoothing, K: classes, y: the label

    Paper:
        Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016,
        arXiv:1512.00567, section 7

    Needs:
        - labels

    Notes:
        - It reads no teacher unless kd is above 0. A method that does not beat it has not shown
          that the teacher's knowledge matters.
    """

    def __init__(self, smoothing: UnitBelowOne, **weights: Unpack[TermWeights]) -> None:
        super().__init__(**weights)
        self.smoothing = smoothing
        self.uses_teacher = bool(self.kd)

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        return {"label_smoothing": label_loss(student.logits, batch, self.smoothing)}
