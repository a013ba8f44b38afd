"""Soft labels with the sample weights of the focal loss."""

from typing import Unpack

from pydantic import NonNegativeFloat
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.functional import Logits, logits_of
from kdrun.loss.logits import weighted_soft_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class Focal(WeightedLoss):
    """Focal soft labels: more weight for difficult samples.

    Formula:
        mean_i (1 - p_s,y)^gamma T^2 CE(p_t,i^T, p_s,i^T)
        p_s,y: the student's probability of the label at T = 1, without a gradient

    Paper:
        none for distillation; the weight is that of Lin et al., Focal Loss for Dense Object
        Detection, ICCV 2017, arXiv:1708.02002

    Needs:
        - logits of both, of the same classes
        - labels

    Notes:
        - gamma=0 has the gradient of kd.
        - Samples with a wrong label get a high weight, as the student is never sure of that label.
        - The default weights are those of kd and were not tuned.
    """

    needs_hard_labels = True

    def __init__(self, gamma: NonNegativeFloat, **weights: Unpack[TermWeights]) -> None:
        super().__init__(**weights)
        self.gamma = gamma

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        logits = logits_of(student, teacher)
        weights = self.sample_weights(logits, batch.targets)
        return {"focal": weighted_soft_loss(logits, weights, self.temperature)}

    def sample_weights(self, logits: Logits, targets: Tensor) -> Tensor:
        """Return (1 - p_s,y)^gamma (N,), detached."""
        label_p = logits.student.detach().softmax(dim=1).gather(1, targets[:, None])
        return (1 - label_p.squeeze(1)) ** self.gamma
