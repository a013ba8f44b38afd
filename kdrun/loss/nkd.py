"""Normalized knowledge distillation."""

from typing import Unpack

from pydantic import NonNegativeFloat
from torch import Tensor

from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.loss.dkd import drop_targets, refuse_two_classes
from kdrun.loss.functional import logits_of
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class NKD(WeightedLoss):
    """Normalized distillation: the label and the other classes.

    Formula:
        -p_t,y log p_s,y - gamma T^2 sum_{i != y} n(p_t^T)_i log n(p_s^T)_i, averaged over the batch
        n: the probabilities renormalized over the classes other than the label y
        the first term is at T = 1

    Paper:
        Yang et al., From Knowledge Distillation to Self-Knowledge Distillation: A Unified Approach
        with Normalized Loss and Customized Soft Labels, ICCV 2023, arXiv:2303.13005, equation 7

    Needs:
        - logits of both, of 3 or more classes
        - labels

    Notes:
        - The terms are cross-entropies, which are above 0 even if student and teacher agree.
        - The self-distillation of the same paper (USKD) is not implemented.
    """

    needs_hard_labels = True

    def __init__(self, gamma: NonNegativeFloat, **weights: Unpack[TermWeights]) -> None:
        super().__init__(**weights)
        self.gamma = gamma

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        refuse_two_classes("nkd", data)

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        logits, target = logits_of(student, teacher), batch.targets[:, None]
        teacher_p = logits.teacher.softmax(dim=1).gather(1, target)
        label = teacher_p * logits.student.log_softmax(dim=1).gather(1, target)
        log_student, log_teacher = (
            drop_targets(z, batch.targets).div(self.temperature).log_softmax(dim=1) for z in logits
        )
        others = (log_teacher.exp() * log_student).sum(dim=1).mean()
        return {"nkd": -label.mean() - self.gamma * self.temperature**2 * others}
