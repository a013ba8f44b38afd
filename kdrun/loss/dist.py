"""DIST: correlations of probabilities over classes and over the batch."""

from typing import Unpack

from pydantic import NonNegativeFloat
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.functional import logits_of
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_MIN_SQUARE = 1e-6  # rows with a smaller squared length are constant up to rounding


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
        - The second term depends on the batch; in small batches its correlations mean little.
        - With two classes only the second term teaches: the first has no gradient, as the
          correlation of two numbers is 1 or -1.
        - Correlations are matched, not the probabilities, so a student may be less confident than
          its teacher.
    """

    min_batch = 2

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
    """Return Pearson's correlation (N,) of the rows of (N, K) matrices; 0 for a constant row."""
    first, second = (rows - rows.mean(dim=1, keepdim=True) for rows in (student, teacher))
    squares = (rows.square().sum(dim=1).clamp_min(_MIN_SQUARE) for rows in (first, second))
    lengths = [square.sqrt() for square in squares]
    return (first * second).sum(dim=1) / (lengths[0] * lengths[1])
