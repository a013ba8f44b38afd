"""Logits compared by their shape alone: standardized before they are softened."""

from typing import Literal, Unpack

from pydantic import NonNegativeFloat
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.loss.base import teacher_logits, to_float32
from kdrun.loss.dkd import decoupled
from kdrun.loss.logits import soft_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_LEAST = 1e-4  # variance; less is that of logits which say nothing, and have no direction


class LSKD(WeightedLoss):
    """Sun et al. 2024 (arXiv:2403.01427), equation 9: the softmax of (z - mean) / (std T).

    Mean and standard deviation are of each sample's logits. On these, T^2 KL (`base: kd`), or DKD's
    alpha TCKD + beta NCKD (`base: dkd`).
    """

    def __init__(
        self,
        base: Literal["kd", "dkd"],
        alpha: NonNegativeFloat,
        beta: NonNegativeFloat,
        **shares: Unpack[TermWeights],
    ) -> None:
        super().__init__(**shares)
        self.base, self.alpha, self.beta = base, alpha, beta
        self.needs_hard_labels = base == "dkd"

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if data.num_classes < 3:
            raise UserError(
                "lskd standardizes the logits of each sample, and those of"
                f" {data.num_classes} classes are then always -1 and 1.",
                "  take loss=kd, which distills both classes",
            )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        own, other = standardized(to_float32(student.logits)), standardized(teacher_logits(teacher))
        if self.base == "kd":
            return {"lskd": soft_loss(own, other, self.temperature)}
        target, others = decoupled(own, other, batch.targets, self.temperature)
        return {"lskd": self.alpha * target + self.beta * others}


def standardized(logits: Tensor) -> Tensor:
    """Each row of (N, C) logits with mean 0 and standard deviation 1, or less where it is flat."""
    centered = logits - logits.mean(dim=1, keepdim=True)
    return centered / centered.square().mean(dim=1, keepdim=True).clamp_min(_LEAST).sqrt()
