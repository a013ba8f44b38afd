"""Reverse KL divergence of the logits."""

from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.functional import logits_of
from kdrun.loss.logits import soft_loss
from kdrun.loss.weighted_loss import WeightedLoss


class ReverseKL(WeightedLoss):
    """Reverse KL divergence of the logits.

    Formula:
        T^2 KL(softmax(z_s / T) || softmax(z_t / T)), averaged over the batch

    Paper:
        Gu et al., MiniLLM: Knowledge Distillation of Large Language Models, ICLR 2024,
        arXiv:2306.08543, equation 1

    Needs:
        - logits of both, of the same classes

    Notes:
        - The paper estimates it from samples of a language model; over classes it is an exact sum.
        - It punishes probability for classes to which the teacher gives almost none, but hardly too
          little probability for other classes.
        - The default weights and temperature are those of kd and were not tuned.
    """

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        logits = logits_of(student, teacher)
        return {"reverse_kl": soft_loss(logits.teacher, logits.student, self.temperature)}
