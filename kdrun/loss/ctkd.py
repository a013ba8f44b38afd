"""A temperature that is learned against the student."""

from math import cos, pi
from typing import Annotated, Unpack

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.base import teacher_logits, to_float32
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

Span = Annotated[list[PositiveFloat], Field(min_length=2, max_length=2)]


class CTKD(WeightedLoss):
    """Li et al. 2023 (arXiv:2211.16231), equations 6 to 9, with one temperature for all samples.

    T^2 KL(p_t^T || p_s^T) with T = low + (high - low) sigmoid(t). The learned t goes uphill: its
    gradient is reversed, times lambda, which rises as a cosine from 0 to 1 in the first epochs.
    """

    def __init__(
        self, span: Span, start: float, curriculum: NonNegativeFloat, **shares: Unpack[TermWeights]
    ) -> None:
        super().__init__(**shares)
        self.low, self.high = span
        self.curriculum = curriculum
        self.place = nn.Parameter(torch.tensor(float(start)))

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        own, other = to_float32(student.logits), teacher_logits(teacher)
        fixed = self.place.detach()
        reversed_place = fixed - self.uphill(progress) * (self.place - fixed)
        temperature = self.low + (self.high - self.low) * reversed_place.sigmoid()
        log_own, log_other = ((z / temperature).log_softmax(dim=1) for z in (own, other))
        apart = F.kl_div(log_own, log_other, reduction="batchmean", log_target=True)
        return {"ctkd": apart * temperature**2}

    def uphill(self, progress: Progress) -> float:
        """Lambda: how much of the gradient the temperature goes up by."""
        if progress.epoch >= self.curriculum:
            return 1.0
        return (1 - cos(pi * progress.epoch / self.curriculum)) / 2
