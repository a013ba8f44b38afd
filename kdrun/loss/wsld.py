"""Weighted soft labels: a weight for each sample."""

import torch.nn.functional as F
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.functional import Logits, logits_of
from kdrun.loss.logits import weighted_soft_loss
from kdrun.loss.weighted_loss import WeightedLoss


class WSLD(WeightedLoss):
    """Weighted soft labels: a weight for each sample.

    Formula:
        mean_i w_i T^2 CE(p_t,i^T, p_s,i^T), w_i = 1 - exp(-CE_s,i / CE_t,i)
        CE_s,i, CE_t,i: cross-entropies of student and teacher with the label of sample i

    Paper:
        Zhou et al., Rethinking Soft Labels for Knowledge Distillation: A Bias-Variance Tradeoff
        Perspective, ICLR 2021, arXiv:2102.00650, equation 7

    Needs:
        - logits of both, of the same classes
        - labels

    Notes:
        - No gradient goes through the w_i.
        - If the teacher has memorized the training labels, all w_i are near 1, and the loss is kd
          with another weight.
    """

    needs_hard_labels = True

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        logits = logits_of(student, teacher)
        weights = self.sample_weights(logits, batch.targets)
        return {"wsld": weighted_soft_loss(logits, weights, self.temperature)}

    def sample_weights(self, logits: Logits, targets: Tensor) -> Tensor:
        """Return the w_i (N,), detached."""
        student_ce, teacher_ce = (
            F.cross_entropy(z.detach(), targets, reduction="none") for z in logits
        )
        return 1 - (-student_ce / teacher_ce.clamp_min(1e-7)).exp()
