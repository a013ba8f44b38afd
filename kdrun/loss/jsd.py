"""Generalized Jensen-Shannon divergence of the logits."""

from math import log
from typing import Unpack

import torch
from torch import Tensor

from kdrun.core.ranges import UnitInterval
from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.functional import logits_of
from kdrun.loss.logits import kl_divergence, soft_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class JSD(WeightedLoss):
    """Jensen-Shannon divergence, generalized, of the logits.

    Formula:
        T^2 [beta KL(p_t || m) + (1 - beta) KL(p_s || m)], m = beta p_t + (1 - beta) p_s
        p = softmax(z / T), averaged over the batch
        beta=0: T^2 KL(p_t || p_s); beta=1: T^2 KL(p_s || p_t)

    Paper:
        Agarwal et al., On-Policy Distillation of Language Models: Learning from Self-Generated
        Mistakes, ICLR 2024, arXiv:2306.13649

    Needs:
        - logits of both, of the same classes

    Notes:
        - At beta 0 and 1 the formula is 0; there the loss is the limit of the formula divided by
          beta or 1 - beta, as in public implementations. For other beta the values are smaller, so
          a weight for one beta does not suit another.
        - The paper also trains language models on samples that they generate; this is not
          implemented.
    """

    def __init__(self, beta: UnitInterval, **weights: Unpack[TermWeights]) -> None:
        super().__init__(**weights)
        self.beta = beta

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        logits = logits_of(student, teacher)
        if self.beta in (0, 1):
            ends = logits if self.beta == 0 else logits[::-1]
            return {"jsd": soft_loss(*ends, self.temperature)}
        log_student, log_teacher = ((z / self.temperature).log_softmax(dim=1) for z in logits)
        mixture = torch.logaddexp(log_teacher + log(self.beta), log_student + log(1 - self.beta))
        divergence = self.beta * kl_divergence(mixture, log_teacher)
        divergence = divergence + (1 - self.beta) * kl_divergence(mixture, log_student)
        return {"jsd": divergence * self.temperature**2}
