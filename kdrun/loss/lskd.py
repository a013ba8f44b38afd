"""Logit standardization before distillation."""

from typing import Literal, Unpack

from pydantic import NonNegativeFloat
from torch import Tensor

from kdrun.core.errors import UserError
from kdrun.core.types import Batch, DataInfo, Output, Progress, TapShapes
from kdrun.loss.dkd import decouple
from kdrun.loss.functional import Logits, logits_of
from kdrun.loss.logits import soft_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

_MIN_VARIANCE = 1e-4  # logits with a smaller variance differ only by rounding


class LSKD(WeightedLoss):
    """Logit standardization: kd or dkd of standardized logits.

    Formula:
        base=kd: T^2 KL(softmax(u_t / T) || softmax(u_s / T))
        u = (z - mean z) / std z for the logits of each sample, with a variance of at least 1e-4
        base=dkd: alpha TCKD + beta NCKD of loss=dkd, with u in place of the logits

    Paper:
        Sun et al., Logit Standardization in Knowledge Distillation, CVPR 2024, arXiv:2403.01427,
        equation 9

    Needs:
        - logits of both, of the same 3 or more classes
        - labels (base=dkd)

    Notes:
        - It teaches only the relations between logits; the labels teach the student its confidence.
        - The deviation divides by K, the number of classes; the authors' code divides by K - 1, as
          if T were larger by sqrt(K / (K - 1)), and adds 1e-7 in place of a least variance.
        - The published runs with base=kd have ce 0.1 and weight 9; T is 2 for most pairs of
          networks, 3 for vgg13 -> vgg8 and some others: use the T of the pair to compare with them.
        - Those with base=dkd have ce 1, a weight of 9 to 18 that rises over 20 epochs, and beta 2
          for most pairs: loss.base=dkd loss.ce=1 loss.weight={value: 9, warmup: 20}.
    """

    def __init__(
        self,
        base: Literal["kd", "dkd"],
        alpha: NonNegativeFloat,
        beta: NonNegativeFloat,
        **weights: Unpack[TermWeights],
    ) -> None:
        super().__init__(**weights)
        self.base, self.alpha, self.beta = base, alpha, beta
        self.needs_hard_labels = base == "dkd"

    def bind(self, student: TapShapes, teacher: TapShapes | None, data: DataInfo) -> None:
        if data.num_classes < 3:
            raise UserError(
                "lskd standardizes the logits of each sample, and those of"
                f" {data.num_classes} classes are then always -1 and 1.",
                "  take loss=kd, which distills both classes",
            )

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        logits = Logits(*(standardize(z) for z in logits_of(student, teacher)))
        if self.base == "kd":
            return {"lskd": soft_loss(*logits, self.temperature)}
        parts = decouple(*logits, batch.targets, self.temperature)
        return {"lskd": self.alpha * parts.target + self.beta * parts.others}


def standardize(logits: Tensor) -> Tensor:
    """Return logits (N, C) with mean 0 and standard deviation 1 in each row.

    Rows with a variance below 1e-4 get a smaller deviation.
    """
    centered = logits - logits.mean(dim=1, keepdim=True)
    variance = centered.square().mean(dim=1, keepdim=True)
    return centered / variance.clamp_min(_MIN_VARIANCE).sqrt()
