"""Losses on logits: the labels alone, Hinton's distillation, and logit regression."""

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from kdrun.core.ranges import UnitInterval
from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.base import Loss, label_loss, teacher_logits, to_float32


class CrossEntropy(Loss):
    """The labels alone: what the teacher and the control are trained with."""

    uses_teacher = False

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        return {"ce": label_loss(student.logits, batch)}


class KD(Loss):
    """Hinton, Vinyals, Dean 2015 (arXiv:1503.02531), section 2.

    (1 - alpha) CE(y, z_s) + alpha T^2 KL(softmax(z_t / T) || softmax(z_s / T)), batch mean. T^2
    keeps the size of the soft gradient when T changes, as the paper advises.
    """

    def __init__(self, alpha: UnitInterval, temperature: PositiveFloat) -> None:
        super().__init__()
        self.alpha = alpha
        self.temperature = temperature

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        soft = soft_loss(to_float32(student.logits), teacher_logits(teacher), self.temperature)
        return {
            "ce": (1 - self.alpha) * label_loss(student.logits, batch),
            "kd": self.alpha * soft,
        }


class LogitsMSE(Loss):
    """Ba and Caruana 2014 (arXiv:1312.6184), equation 1: regression on the teacher's logits.

    (1 - alpha) CE(y, z_s) + alpha mean_ic (z_s - z_t)^2.
    """

    def __init__(self, alpha: UnitInterval) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        distance = F.mse_loss(to_float32(student.logits), teacher_logits(teacher))
        return {
            "ce": (1 - self.alpha) * label_loss(student.logits, batch),
            "mse": self.alpha * distance,
        }


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL(teacher || student) of two (N, C) logits at a temperature, averaged over rows."""
    divergence = F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return divergence * temperature**2
