"""DIST: correlations of probabilities over classes and over the batch."""

from typing import Unpack

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.functional import logits_of
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_ROUNDING = 8  # a row whose values differ by fewer units of rounding on average is constant


class DIST(WeightedLoss):
    """DIST: correlations of probabilities.

    Formula:
        T^2 [beta mean_i (1 - rho(p_s,i. ; p_t,i.)) + gamma mean_c (1 - rho(p_s,.c ; p_t,.c))]
        rho: Pearson's correlation, of each sample i over classes and of each class c over the batch
        p = softmax(z / T)

    Paper:
        Huang et al., Knowledge Distillation from A Stronger Teacher, NeurIPS 2022,
        arXiv:2205.10536, equations 9 to 11

    Needs:
        - logits of both, of the same classes
        - a batch of 2 or more

    Notes:
        - Every published run has weight 2; on CIFAR-100 with T = 4, on ImageNet with T = 1. The
          factor T^2 is that of the authors' code.
        - The authors' code adds 1e-8 to the product of the lengths in a correlation, which mutes
          classes that are absent from a batch if the teacher is certain; here, as in the paper,
          they count in full.
        - The second term depends on the batch; in small batches its correlations mean little.
        - With two classes only the second term teaches: the first has no gradient, as the
          correlation of two numbers is 1 or -1.
        - Correlations are matched, not the probabilities, so a student may be less confident than
          its teacher.
    """

    min_batch = 2
    revision = 2  # 2: no floor of 1e-6 on squared lengths

    def __init__(
        self, beta: NonNegativeFloat, gamma: NonNegativeFloat, **weights: Unpack[TermWeights]
    ) -> None:
        super().__init__(**weights)
        self.beta, self.gamma = beta, gamma

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        logits = logits_of(student, teacher)
        student_p, teacher_p = ((z / self.temperature).softmax(dim=1) for z in logits)
        over_classes = 1 - _pearson(student_p, teacher_p).mean()
        over_batch = 1 - _pearson(student_p.T, teacher_p.T).mean()
        return {"dist": self.temperature**2 * (self.beta * over_classes + self.gamma * over_batch)}


def _pearson(student: Tensor, teacher: Tensor) -> Tensor:
    """Return Pearson's correlation (N,) of rows of probabilities (N, K); 0 for a constant row."""
    first, second = _standardized(student), _standardized(teacher)
    return (first * second).sum(dim=1)


def _standardized(rows: Tensor) -> Tensor:
    """Return non-negative rows (N, K) with mean 0 and length 1; zeros for a constant row."""
    # With a maximum of 1, squares don't underflow and rounding is the same for all rows.
    largest = rows.detach().amax(dim=1, keepdim=True)
    rows = rows / largest.clamp_min(torch.finfo(rows.dtype).tiny)
    centered = rows - rows.mean(dim=1, keepdim=True)
    squares = centered.square().sum(dim=1, keepdim=True)
    smallest = rows.shape[1] * (_ROUNDING * torch.finfo(rows.dtype).eps) ** 2
    is_constant = squares < smallest
    # The square root of 0 has no finite slope, even where it is not used.
    return (centered / squares.masked_fill(is_constant, 1).sqrt()).masked_fill(is_constant, 0)
