"""Teacher-free knowledge distillation."""

from typing import Literal, Unpack

import torch
from torch import Tensor

from kdrun.core.ranges import OpenUnit
from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.functional import teacher_logits, to_float32
from kdrun.loss.logits import soft_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class TFKD(WeightedLoss):
    """Teacher-free: a virtual teacher, or the student itself.

    Formula:
        T^2 KL(p_v^T || p_s^T), averaged over the batch
        source=virtual: p_v is `certainty` for the label and (1 - certainty) / (K - 1) for each of
          the other K - 1 classes; p_v^T is softmax(log(p_v) / T)
        source=self: p_v^T is the teacher's softmax(z_t / T)

    Paper:
        Yuan et al., Revisiting Knowledge Distillation via Label Smoothing Regularization, CVPR
        2020, arXiv:1909.11723, section 4

    Needs:
        - labels (source=virtual)
        - a trained teacher with the same network as the student (source=self)

    Notes:
        - With source=virtual it is label smoothing with a temperature, and reads no teacher unless
          kd is above 0.
        - The authors' CIFAR-100 code has weight and T by network: 0.1 and 20 for ResNet18, 0.95 and
          40 for MobileNetV2, 0.95 and 10 for ShuffleNetV2, 0.5 and 40 for ResNeXt29, 0.1 and 40
          for DenseNet121 and GoogLeNet; ce is 1 - weight.
        - T^2 and the softened log(p_v) are kdrun's. That code softens p_v itself, leaves the
          student unsoftened, averages over the classes and multiplies by 1 to 100, depending on the
          network. So its weights and temperatures are not those of the same objective here.
    """

    def __init__(
        self,
        source: Literal["virtual", "self"],
        certainty: OpenUnit,
        **weights: Unpack[TermWeights],
    ) -> None:
        super().__init__(**weights)
        self.source, self.certainty = source, certainty
        self.uses_teacher = source == "self" or bool(self.kd)
        self.needs_hard_labels = source == "virtual"

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        logits = to_float32(student.logits)
        targets = teacher_logits(teacher) if self.source == "self" else self._virtual(logits, batch)
        return {"tf_kd": soft_loss(logits, targets, self.temperature)}

    def _virtual(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the virtual teacher's logits (N, C); the student's for unlabeled samples."""
        virtual = virtual_logits(logits, batch.targets, self.certainty)
        if batch.labeled is None:
            return virtual
        return virtual.where(batch.labeled[:, None], logits.detach())


def virtual_logits(like: Tensor, targets: Tensor, certainty: float) -> Tensor:
    """Return log-probabilities (N, C) with probability `certainty` for the targets.

    The other classes share the rest equally.

    Args:
        like: a tensor with the shape, dtype and device of the result.
        targets: (N,) classes.
        certainty: above 0, below 1.
    """
    rest = (1 - certainty) / (like.shape[1] - 1)
    probabilities = torch.full_like(like, rest, requires_grad=False)
    return probabilities.scatter_(1, targets[:, None], certainty).log()
