"""Decoupled knowledge distillation."""

from typing import NamedTuple, Unpack

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.loss.functional import logits_of
from kdrun.loss.logits import kl_divergence
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss


class Decoupled(NamedTuple):
    """The two parts of T^2 KL(p_t || p_s) that DKD weights, scalars."""

    target: Tensor  # TCKD
    others: Tensor  # NCKD


class DKD(WeightedLoss):
    """Decoupled distillation: the label and the other classes.

    Formula:
        alpha TCKD + beta NCKD, averaged over the batch
        TCKD = T^2 KL of the pairs (p_y, 1 - p_y)
        NCKD = T^2 KL over the classes other than y, renormalized
        p = softmax(z / T) of teacher and student; y: the label

    Paper:
        Zhao, Cui, Song, Qiu and Liang, Decoupled Knowledge Distillation, CVPR 2022,
        arXiv:2203.08679, equation 7

    Needs:
        - logits of both, of 3 or more classes
        - labels

    Notes:
        - The published CIFAR-100 code has a beta for each pair of networks: 2 for resnet56 ->
          resnet20 and resnet110 -> resnet32; 6 for wrn_40_2 -> wrn_16_2 and wrn_40_1, vgg13 -> vgg8
          and mobilenet_v2_x0_5; 8 for the others. To compare with it, use the beta of the pair.
        - The weight rises over the first 20 epochs; in a run of fewer epochs, over a twelfth of
          them, the share that 20 are of the 240 epochs of the published runs.
    """

    needs_hard_labels = True

    def __init__(
        self, alpha: NonNegativeFloat, beta: NonNegativeFloat, **weights: Unpack[TermWeights]
    ) -> None:
        super().__init__(**weights)
        self.alpha, self.beta = alpha, beta

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        refuse_two_classes("dkd", data)

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        logits = logits_of(student, teacher)
        parts = decouple(*logits, batch.targets, self.temperature)
        return {"dkd": self.alpha * parts.target + self.beta * parts.others}


def decouple(student: Tensor, teacher: Tensor, targets: Tensor, temperature: float) -> Decoupled:
    """Return TCKD and NCKD of logits (N, C), each averaged over rows.

    Args:
        student: the student's logits.
        teacher: the teacher's logits.
        targets: (N,) labels.
        temperature: T, by which logits are divided.
    """
    student, teacher = student / temperature, teacher / temperature
    target = kl_divergence(_binary_log_p(student, targets), _binary_log_p(teacher, targets))
    others = (drop_targets(z, targets).log_softmax(dim=1) for z in (student, teacher))
    return Decoupled(target * temperature**2, kl_divergence(*others) * temperature**2)


def drop_targets(logits: Tensor, targets: Tensor) -> Tensor:
    """Return logits (N, C) without each row's target: (N, C - 1)."""
    others = torch.ones_like(logits, dtype=torch.bool).scatter_(1, targets[:, None], value=False)
    return logits[others].view(len(logits), -1)


def refuse_two_classes(name: str, data: DataInfo) -> None:
    """Refuse two classes: without the label, only one class is left, whose probability is 1.

    Args:
        name: the name of the loss, for the message.
        data: the dataset.

    Raises:
        UserError: the dataset has fewer than three classes.
    """
    if data.num_classes < 3:
        raise UserError(
            f"{name} compares the classes other than the label, and of {data.num_classes} classes"
            " only one is left.",
            "  take loss=kd, which distills both classes",
        )


def _binary_log_p(logits: Tensor, targets: Tensor) -> Tensor:
    """Return log(p_y) and log(1 - p_y) (N, 2), which are precise even for p_y near 0 or 1."""
    log_all = logits.logsumexp(dim=1)
    log_target = logits.gather(1, targets[:, None]).squeeze(1) - log_all
    log_others = drop_targets(logits, targets).logsumexp(dim=1) - log_all
    return torch.stack([log_target, log_others], dim=1)
