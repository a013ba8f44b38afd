"""The target class and the other classes, each distilled on its own."""

from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.loss.base import teacher_logits, to_float32
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class DKD(WeightedLoss):
    """Zhao et al. 2022 (arXiv:2203.08679), equation 7: alpha TCKD + beta NCKD.

    TCKD is T^2 KL of the pairs (p_y, 1 - p_y), NCKD is T^2 KL over the classes other than y,
    renormalized; both batch means.
    """

    needs_hard_labels = True

    def __init__(
        self, alpha: NonNegativeFloat, beta: NonNegativeFloat, **shares: Unpack[TermWeights]
    ) -> None:
        super().__init__(**shares)
        self.alpha, self.beta = alpha, beta

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        refuse_two_classes("dkd", data)

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        own, other = to_float32(student.logits), teacher_logits(teacher)
        target, others = decoupled(own, other, batch.targets, self.temperature)
        return {"dkd": self.alpha * target + self.beta * others}


class NKD(WeightedLoss):
    """Yang et al. 2023 (arXiv:2303.13005), equation 7.

    -p_t,y log p_s,y - gamma T^2 sum over i != y of n(p_t^T)_i log n(p_s^T)_i, with n the
    probabilities renormalized over the classes other than y; the first part at T = 1.
    """

    needs_hard_labels = True

    def __init__(self, gamma: NonNegativeFloat, **shares: Unpack[TermWeights]) -> None:
        super().__init__(**shares)
        self.gamma = gamma

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        refuse_two_classes("nkd", data)

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        own, other = to_float32(student.logits), teacher_logits(teacher)
        target = batch.targets[:, None]
        sure = other.softmax(dim=1).gather(1, target) * own.log_softmax(dim=1).gather(1, target)
        rest = (
            without(logits, batch.targets).div(self.temperature).log_softmax(dim=1)
            for logits in (own, other)
        )
        log_own, log_other = rest
        crossed = (log_other.exp() * log_own).sum(dim=1).mean()
        return {"nkd": -sure.mean() - self.gamma * self.temperature**2 * crossed}


def decoupled(
    student: Tensor, teacher: Tensor, targets: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """TCKD and NCKD of (N, C) logits, each times T^2 and averaged over rows."""
    own, other = student / temperature, teacher / temperature
    pairs = _divergence(_pair(own, targets), _pair(other, targets))
    rest = _divergence(*(without(z, targets).log_softmax(dim=1) for z in (own, other)))
    return pairs * temperature**2, rest * temperature**2


def without(logits: Tensor, targets: Tensor) -> Tensor:
    """Logits (N, C) without each row's target: (N, C - 1)."""
    others = torch.ones_like(logits, dtype=torch.bool).scatter_(1, targets[:, None], value=False)
    return logits[others].view(len(logits), -1)


def refuse_two_classes(name: str, data: DataInfo) -> None:
    """Raise where nothing is left beside the target but one class, whose share is always 1."""
    if data.num_classes < 3:
        raise UserError(
            f"{name} tells the classes beside the target apart, and of {data.num_classes} classes"
            " only one is left.",
            "  take loss=kd, which distills both classes",
        )


def _pair(logits: Tensor, targets: Tensor) -> Tensor:
    """Log of (p_y, 1 - p_y): (N, 2), exact where p_y is near 0 or 1."""
    log_all = logits.logsumexp(dim=1)
    log_target = logits.gather(1, targets[:, None]).squeeze(1) - log_all
    return torch.stack([log_target, without(logits, targets).logsumexp(dim=1) - log_all], dim=1)


def _divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher || student) of two (N, K) logs of probabilities, averaged over rows."""
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)
