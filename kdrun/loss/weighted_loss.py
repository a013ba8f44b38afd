"""The base class of most losses: the sum of label, soft-target and distillation terms."""

from abc import abstractmethod
from typing import TypedDict, Unpack

import torch
from pydantic import PositiveFloat
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.base import Loss
from kdrun.loss.functional import label_loss, logits_of
from kdrun.loss.logits import soft_loss
from kdrun.loss.weight import (
    TABLE_EPOCHS,
    Ramp,
    Weight,
    ramp_share,
    read_weight,
    shorten,
    weight_at,
)

_NO_TEACHER = Output(torch.empty(0))


class TermWeights(TypedDict):
    """The config keys that every `WeightedLoss` has.

    weight: factor of the distillation terms.
    ce: factor of the cross-entropy with the labels.
    kd: factor of the soft targets, T^2 KL(teacher || student) of the logits.
    temperature: T of the soft targets, above 0.
    """

    weight: Weight
    ce: Weight
    kd: Weight
    temperature: PositiveFloat


class WeightedLoss(Loss):
    """ce CE(y, z_s) + kd T^2 KL(p_t || p_s) + weight * (the terms of the subclass)."""

    def __init__(self, **weights: Unpack[TermWeights]) -> None:
        super().__init__()
        self.weight, self.ce = read_weight(weights["weight"]), read_weight(weights["ce"])
        self.kd, self.temperature = read_weight(weights["kd"]), weights["temperature"]

    def shortened(self, epochs: int) -> list[str]:
        ramps = {"weight": self.weight, "ce": self.ce, "kd": self.kd}
        return [
            f"a warm-up of {ramp.warmup:g} epochs is longer than the training of {epochs}; it takes"
            f" {shorten(ramp.warmup, epochs):.3g} epochs, its share of {TABLE_EPOCHS};"
            f" for another, set {key}={{value: {ramp.value:g}, warmup: EPOCHS}} of the loss"
            for key, ramp in ramps.items()
            if isinstance(ramp, Ramp) and ramp.warmup > epochs
        ]

    def ramp(self, progress: Progress) -> float:
        return ramp_share(self.weight, progress)

    @abstractmethod
    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        """Return the named distillation terms, scalars without their weight.

        `teacher` is empty where `uses_teacher` is false.
        """

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = {}
        ce, kd, weight = (weight_at(w, progress) for w in (self.ce, self.kd, self.weight))
        if ce:
            terms["ce"] = ce * label_loss(student.logits, batch)
        if kd:
            terms["kd"] = kd * soft_loss(*logits_of(student, teacher), self.temperature)
        if weight:
            distillation = self.terms(student, teacher or _NO_TEACHER, batch, progress)
            terms |= {name: weight * value for name, value in distillation.items()}
        # A sum of no terms has no gradient.
        return terms or {"ce": 0 * label_loss(student.logits, batch)}
