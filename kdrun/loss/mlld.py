"""Relations between predictions: over classes, and over a batch."""

from typing import Annotated, Unpack

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.base import no_autocast, teacher_logits, to_float32
from kdrun.loss.logits import soft_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_LEAST = 1e-6  # squared length of a row; less is one of equal numbers, without a direction
Temperatures = Annotated[list[PositiveFloat], Field(min_length=1)]


class DIST(WeightedLoss):
    """Huang et al. 2022 (arXiv:2205.10536), equations 9 to 11.

    T^2 [beta mean_i (1 - rho(p_s,i, p_t,i)) + gamma mean_c (1 - rho(p_s,.c, p_t,.c))] with rho
    Pearson's correlation, of each sample over classes and of each class over the batch.
    """

    min_batch = 2

    def __init__(
        self, beta: NonNegativeFloat, gamma: NonNegativeFloat, **shares: Unpack[TermWeights]
    ) -> None:
        super().__init__(**shares)
        self.beta, self.gamma = beta, gamma

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        logits = to_float32(student.logits), teacher_logits(teacher)
        own, other = ((z / self.temperature).softmax(dim=1) for z in logits)
        between = 1 - _pearson(own, other).mean()
        within = 1 - _pearson(own.T, other.T).mean()
        return {"dist": self.temperature**2 * (self.beta * between + self.gamma * within)}


class MLLD(WeightedLoss):
    """Jin, Wang, Lin 2023 (CVPR), equations 4 to 9, of one view of the images.

    Sum over temperatures of T^2 KL(p_t || p_s) + |P_s P_s' - P_t P_t'|^2 / B + |P_s' P_s -
    P_t' P_t|^2 / C, with P the (B, C) matrix of the batch's probabilities at that temperature.
    """

    min_batch = 2

    def __init__(self, temperatures: Temperatures, **shares: Unpack[TermWeights]) -> None:
        super().__init__(**shares)
        self.temperatures = temperatures

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        logits = to_float32(student.logits), teacher_logits(teacher)
        rows, classes = logits[0].shape
        alone, samples, labels = [], [], []
        for temperature in self.temperatures:
            own, other = ((z / temperature).softmax(dim=1) for z in logits)
            alone.append(soft_loss(*logits, temperature))
            with no_autocast(own):
                samples.append((own @ own.T - other @ other.T).square().sum() / rows)
                labels.append((own.T @ own - other.T @ other).square().sum() / classes)
        return {
            "mlld": torch.stack(alone).sum(),
            "mlld_batch": torch.stack(samples).sum(),
            "mlld_class": torch.stack(labels).sum(),
        }


def _pearson(student: Tensor, teacher: Tensor) -> Tensor:
    """Pearson's correlation of each row of two (N, K) matrices: (N,); 0 where one is constant."""
    own, other = (rows - rows.mean(dim=1, keepdim=True) for rows in (student, teacher))
    squares = (rows.square().sum(dim=1).clamp_min(_LEAST) for rows in (own, other))
    lengths = [square.sqrt() for square in squares]
    return (own * other).sum(dim=1) / (lengths[0] * lengths[1])
