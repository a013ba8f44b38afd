"""Soft labels that count more for samples the student finds hard."""

from abc import abstractmethod
from typing import Unpack

import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.base import teacher_logits, to_float32
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class _Weighted(WeightedLoss):
    """mean_i w_i T^2 CE(p_t^T, p_s^T) of a sample; no gradient goes through the w_i."""

    needs_hard_labels = True

    @abstractmethod
    def importance(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        """(N,) weights of samples, from (N, C) logits without a graph and (N,) labels."""

    def _soft(self, student: Output, teacher: Output, batch: Batch) -> Tensor:
        own, other = to_float32(student.logits), teacher_logits(teacher)
        soft = (other / self.temperature).softmax(dim=1)
        crossed = -(soft * (own / self.temperature).log_softmax(dim=1)).sum(dim=1)
        weights = self.importance(own.detach(), other, batch.targets)
        return self.temperature**2 * (weights * crossed).mean()


class WSLD(_Weighted):
    """Zhou et al. 2021 (arXiv:2102.00650), equation 7: w_i = 1 - exp(-CE_s,i / CE_t,i)."""

    def importance(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        own, other = (F.cross_entropy(z, targets, reduction="none") for z in (student, teacher))
        return 1 - (-own / other.clamp_min(1e-7)).exp()

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        return {"wsld": self._soft(student, teacher, batch)}


class Focal(_Weighted):
    """The weight of the focal loss (Lin et al. 2017, arXiv:1708.02002): w_i = (1 - p_s,y)^gamma."""

    def __init__(self, gamma: NonNegativeFloat, **shares: Unpack[TermWeights]) -> None:
        super().__init__(**shares)
        self.gamma = gamma

    def importance(self, student: Tensor, teacher: Tensor, targets: Tensor) -> Tensor:
        right = student.softmax(dim=1).gather(1, targets[:, None]).squeeze(1)
        return (1 - right) ** self.gamma

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        return {"focal": self._soft(student, teacher, batch)}
