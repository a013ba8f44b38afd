"""The basic losses on logits: cross-entropy with labels, Hinton's distillation, squared error."""

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from kdrun.core.ranges import UnitInterval
from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.base import Loss
from kdrun.loss.functional import Logits, label_loss, logits_of


class CrossEntropy(Loss):
    """Cross-entropy with the labels: how teachers and controls are trained.

    Formula:
        CE(y, z_s) = -log softmax(z_s)_y, averaged over the batch

    Paper:
        none

    Needs:
        - labels

    Notes:
        - It reads no teacher. As the loss of a run it repeats the control `alone`; distillation
          should do better than this control.
    """

    uses_teacher = False

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        return {"ce": label_loss(student.logits, batch)}


class KD(Loss):
    """Knowledge distillation: labels and softened probabilities.

    Formula:
        (1 - alpha) CE(y, z_s) + alpha T^2 KL(softmax(z_t / T) || softmax(z_s / T))
        z_s, z_t: logits of student and teacher; y: the label; averaged over the batch

    Paper:
        Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, NIPS workshop 2014,
        arXiv:1503.02531, section 2

    Needs:
        - logits of both, of the same classes
        - labels (alpha below 1)

    Notes:
        - T^2 keeps the size of the soft gradient when T changes, as the paper advises.
        - The weights of labels and soft targets can matter more than the method. For resnet32x4 ->
          resnet8x4, published tables with the weights 0.1 and 0.9 report 73.33, others with 1 and 1
          report 74.42; sweep the weights before comparing kd with another method.
    """

    def __init__(self, alpha: UnitInterval, temperature: PositiveFloat) -> None:
        super().__init__()
        self.alpha = alpha
        self.temperature = temperature

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        soft = soft_loss(*logits_of(student, teacher), self.temperature)
        return {
            "ce": (1 - self.alpha) * label_loss(student.logits, batch),
            "kd": self.alpha * soft,
        }


class LogitsMSE(Loss):
    """Squared error between the logits of student and teacher.

    Formula:
        (1 - alpha) CE(y, z_s) + alpha mean_ic (z_s - z_t)^2
        z_s, z_t: logits of student and teacher for sample i and class c; y: the label

    Paper:
        Ba and Caruana, Do Deep Nets Really Need to be Deep?, NIPS 2014, arXiv:1312.6184, equation 1

    Needs:
        - logits of both, of the same classes
        - labels (alpha below 1)

    Notes:
        - The mean goes over classes too, so that the term does not grow with their number.
        - Unlike a loss on softmax(z), it changes if a constant is added to all logits, though the
          predictions stay the same.
        - For large T the gradient of T^2 KL tends to the gradient of this error, if logits have
          mean 0.
    """

    def __init__(self, alpha: UnitInterval) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(
        self, student: Output, teacher: Output | None, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        error = F.mse_loss(*logits_of(student, teacher))
        return {
            "ce": (1 - self.alpha) * label_loss(student.logits, batch),
            "mse": self.alpha * error,
        }


def soft_loss(student: Tensor, teacher: Tensor, temperature: float | Tensor) -> Tensor:
    """Return T^2 KL(teacher || student) of logits (N, C) at temperature T, averaged over rows."""
    log_student, log_teacher = ((z / temperature).log_softmax(1) for z in (student, teacher))
    return kl_divergence(log_student, log_teacher) * temperature**2


def weighted_soft_loss(logits: Logits, weights: Tensor, temperature: float) -> Tensor:
    """Return mean_i w_i T^2 CE(p_t,i, p_s,i) at temperature T; w are the sample weights (N,)."""
    teacher_p = (logits.teacher / temperature).softmax(dim=1)
    log_student = (logits.student / temperature).log_softmax(dim=1)
    cross_entropy = -(teacher_p * log_student).sum(dim=1)
    return temperature**2 * (weights * cross_entropy).mean()


def kl_divergence(log_student: Tensor, log_teacher: Tensor) -> Tensor:
    """Return KL(teacher || student) of log-probabilities (N, C), averaged over rows."""
    return F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
