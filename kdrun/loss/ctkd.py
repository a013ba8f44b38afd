"""Curriculum temperature: a temperature that is trained against the student."""

from math import cos, pi
from typing import Annotated, Unpack

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.functional import logits_of
from kdrun.loss.logits import soft_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

Span = Annotated[list[PositiveFloat], Field(min_length=2, max_length=2)]


class CTKD(WeightedLoss):
    """Curriculum temperature: kd with a learned temperature.

    Formula:
        T^2 KL(softmax(z_t / T) || softmax(z_s / T)), T = low + (high - low) sigmoid(t)
        averaged over the batch
        t maximizes the loss: its gradient is multiplied by -lambda, which rises as a cosine from 0
          to 1 over the first `curriculum` epochs

    Paper:
        Li et al., Curriculum Temperature for Knowledge Distillation, AAAI 2023, arXiv:2211.16231,
        equations 6 to 9

    Needs:
        - logits of both, of the same classes

    Notes:
        - All samples share one temperature; the paper's form with a temperature for each sample is
          not implemented.
        - The learned t is updated by the student's optimizer, with its learning rate.
    """

    def __init__(
        self, span: Span, start: float, curriculum: NonNegativeFloat, **weights: Unpack[TermWeights]
    ) -> None:
        super().__init__(**weights)
        self.low, self.high = span
        self.curriculum = curriculum
        self.place = nn.Parameter(torch.tensor(float(start)))  # t; checkpoints know it by this name

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        fixed = self.place.detach()
        reversed_t = fixed - self.reversal(progress) * (self.place - fixed)
        temperature = self.low + (self.high - self.low) * reversed_t.sigmoid()
        return {"ctkd": soft_loss(*logits_of(student, teacher), temperature)}

    def reversal(self, progress: Progress) -> float:
        """Return lambda, the factor of the reversed gradient, 0 to 1."""
        if progress.epoch >= self.curriculum:
            return 1.0
        return (1 - cos(pi * progress.epoch / self.curriculum)) / 2
