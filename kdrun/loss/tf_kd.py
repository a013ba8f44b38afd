"""Soft labels without a better network: smoothed ones, and a teacher made by hand."""

from typing import Literal, Unpack

import torch
from torch import Tensor

from kdrun.core.ranges import OpenUnit, UnitBelowOne
from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.base import label_loss, teacher_logits, to_float32
from kdrun.loss.logits import soft_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class LabelSmoothing(WeightedLoss):
    """Szegedy et al. 2016 (arXiv:1512.00567), section 7: CE to (1 - e) onehot(y) + e / K."""

    def __init__(self, smoothing: UnitBelowOne, **shares: Unpack[TermWeights]) -> None:
        super().__init__(**shares)
        self.smoothing = smoothing
        self.uses_teacher = bool(self.kd)

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        return {"label_smoothing": label_loss(student.logits, batch, self.smoothing)}


class TeacherFree(WeightedLoss):
    """Yuan et al. 2020 (arXiv:1909.11723), section 4: T^2 KL(p_v^T || p_s^T).

    The virtual teacher says `certainty` on the label and shares the rest among the other classes;
    its distribution is softened as a network's with these probabilities would be. `self` takes
    the run's teacher, which is to be the student's own network, trained before.
    """

    def __init__(
        self,
        source: Literal["virtual", "self"],
        certainty: OpenUnit,
        **shares: Unpack[TermWeights],
    ) -> None:
        super().__init__(**shares)
        self.source, self.certainty = source, certainty
        self.uses_teacher = source == "self" or bool(self.kd)
        self.needs_hard_labels = source == "virtual"

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        own = to_float32(student.logits)
        if self.source == "self":
            other = teacher_logits(teacher)
        else:
            other = virtual_logits(own, batch.targets, self.certainty)
            if batch.labeled is not None:  # of the others there is no label to be sure of
                other = other.where(batch.labeled[:, None], own.detach())
        return {"tf_kd": soft_loss(own, other, self.temperature)}


def virtual_logits(like: Tensor, targets: Tensor, certainty: float) -> Tensor:
    """Log-probabilities (N, C) of a teacher who is that sure of each label."""
    rest = (1 - certainty) / (like.shape[1] - 1)
    shares = torch.full_like(like, rest, requires_grad=False)
    return shares.scatter_(1, targets[:, None], certainty).log()
