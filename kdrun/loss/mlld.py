"""Multi-level logit distillation."""

from typing import Annotated, Unpack

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.functional import logits_of, no_autocast
from kdrun.loss.logits import soft_loss
from kdrun.loss.weighted_loss import TermWeights, WeightedLoss

Temperatures = Annotated[list[PositiveFloat], Field(min_length=1)]


class MLLD(WeightedLoss):
    """Multi-level logits: samples, batch and classes.

    Formula:
        sum over T of T^2 KL(p_t || p_s) + |P_s P_s' - P_t P_t'|_F^2 / B
          + |P_s' P_s - P_t' P_t|_F^2 / C
        P (B, C): softmax(z / T) of a batch of B samples and C classes

    Paper:
        Jin, Wang and Lin, Multi-Level Logit Distillation, CVPR 2023, equations 4 to 9

    Needs:
        - logits of both, of the same classes
        - a batch of 2 or more

    Notes:
        - The authors' CIFAR-100 runs have two views of each image, one of them strongly augmented;
          kdrun has one view. They train 240 epochs for pairs of one family, with learning rate
          0.025, and 480 or 960 for pairs of two families.
        - The published figures that kdrun shows are another paper's runs of 480 epochs; don't
          compare them with results of 240 epochs.
        - The published code differs from the paper in some terms, as its confidence mask multiplies
          an average. kdrun computes the paper's equations.
    """

    min_batch = 2

    def __init__(self, temperatures: Temperatures, **weights: Unpack[TermWeights]) -> None:
        super().__init__(**weights)
        self.temperatures = temperatures

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        logits = logits_of(student, teacher)
        samples, classes = logits.student.shape
        per_sample, per_batch, per_class = [], [], []
        for temperature in self.temperatures:
            student_p, teacher_p = ((z / temperature).softmax(dim=1) for z in logits)
            per_sample.append(soft_loss(*logits, temperature))
            with no_autocast(student_p):
                difference = student_p @ student_p.T - teacher_p @ teacher_p.T
                per_batch.append(difference.square().sum() / samples)
                difference = student_p.T @ student_p - teacher_p.T @ teacher_p
                per_class.append(difference.square().sum() / classes)
        return {
            "mlld": torch.stack(per_sample).sum(),
            "mlld_batch": torch.stack(per_batch).sum(),
            "mlld_class": torch.stack(per_class).sum(),
        }
