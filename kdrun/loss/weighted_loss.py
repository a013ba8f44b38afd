"""What most methods are: a term of their own, beside the labels and Hinton's soft targets."""

from abc import abstractmethod
from typing import TypedDict, Unpack

import torch
from pydantic import PositiveFloat
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.base import Loss, label_loss, teacher_logits, to_float32
from kdrun.loss.logits import soft_loss
from kdrun.loss.weight import Weight, ramp_at, weight_at

_NOBODY = Output(torch.empty(0))


class TermWeights(TypedDict):
    """What the terms of a method count; the same keys for each.

    weight: of the method's own term.
    ce: of the cross-entropy with the labels.
    kd: of T^2 KL(teacher || student) of the logits.
    temperature: T of that term, above 0.
    """

    weight: Weight
    ce: Weight
    kd: Weight
    temperature: PositiveFloat


class WeightedLoss(Loss):
    """ce CE(y, z_s) + kd T^2 KL(p_t || p_s) + weight * (the method's own terms)."""

    def __init__(self, **shares: Unpack[TermWeights]) -> None:
        super().__init__()
        self.weight, self.ce, self.kd = shares["weight"], shares["ce"], shares["kd"]
        self.temperature = shares["temperature"]

    def ramp(self, progress: Progress) -> float:
        return ramp_at(self.weight, progress)

    @abstractmethod
    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        """The method's own named scalars, not weighted yet; without a teacher, it is empty."""

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        ce, kd, weight = (weight_at(share, progress) for share in (self.ce, self.kd, self.weight))
        if ce or not (kd or weight):  # a sum of no terms has no gradient
            found["ce"] = ce * label_loss(student.logits, batch)
        if kd:
            logits = to_float32(student.logits), teacher_logits(teacher)
            found["kd"] = kd * soft_loss(*logits, self.temperature)
        if weight:
            own = self.terms(student, teacher or _NOBODY, batch, progress)
            found |= {name: weight * value for name, value in own.items()}
        return found
