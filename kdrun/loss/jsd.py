"""Other ways to measure how far the student's probabilities are from the teacher's."""

from math import log
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from kdrun.core.ranges import UnitInterval
from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.base import teacher_logits, to_float32
from kdrun.loss.logits import soft_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class ReverseKL(WeightedLoss):
    """T^2 KL(p_s || p_t): the student is to be right where it puts its mass.

    The exact form of what MiniLLM samples (Gu et al. 2024, arXiv:2306.08543, equation 1).
    """

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        own, other = to_float32(student.logits), teacher_logits(teacher)
        return {"reverse_kl": soft_loss(other, own, self.temperature)}


class JSD(WeightedLoss):
    """Agarwal et al. 2024 (arXiv:2306.13649), the generalized Jensen-Shannon divergence.

    T^2 [beta KL(p_t || m) + (1 - beta) KL(p_s || m)] with m = beta p_t + (1 - beta) p_s. At beta
    0 and 1, where that is 0, it is what it tends to when divided by beta or 1 - beta: KL(p_t ||
    p_s) and KL(p_s || p_t).
    """

    def __init__(self, beta: UnitInterval, **shares: Unpack[TermWeights]) -> None:
        super().__init__(**shares)
        self.beta = beta

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        own, other = to_float32(student.logits), teacher_logits(teacher)
        if self.beta in (0, 1):
            ends = (own, other) if self.beta == 0 else (other, own)
            return {"jsd": soft_loss(*ends, self.temperature)}
        log_own, log_other = ((z / self.temperature).log_softmax(dim=1) for z in (own, other))
        mixture = torch.logaddexp(log_other + log(self.beta), log_own + log(1 - self.beta))
        apart = self.beta * _divergence(log_other, mixture)
        apart = apart + (1 - self.beta) * _divergence(log_own, mixture)
        return {"jsd": apart * self.temperature**2}


def _divergence(of: Tensor, to: Tensor) -> Tensor:
    """KL(of || to) of two (N, C) logs of probabilities, averaged over rows."""
    return F.kl_div(to, of, reduction="batchmean", log_target=True)
