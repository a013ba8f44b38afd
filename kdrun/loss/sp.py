"""Similarity-preserving knowledge distillation."""

import torch.nn.functional as F
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import without_padding
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.functional import no_autocast, sum_terms


class SP(FeatureLoss):
    """Similarity preserving: similarities within a batch.

    Formula:
        sp = (1 / B^2) |G_s - G_t|_F^2, summed over the pairs of taps
        G = A A', each row divided by its length; A: the features of a batch, with a flattened
          sample in each row; B: samples in the batch; s, t: student and teacher

    Paper:
        Tung and Mori, Similarity-Preserving Knowledge Distillation, ICCV 2019, arXiv:1907.09682,
        equations 1 to 4

    Needs:
        - features of both (any networks, any shapes)
        - a batch of 2 or more

    Notes:
        - For a batch of one sample the term is 0.
        - Similarities are compared within a batch, so their number grows with its square.
    """

    auto = "stages[-1]"
    compares_tokens = False
    min_batch = 2

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):
            distances = [
                F.mse_loss(
                    _similarities(without_padding(student, pair.student)),
                    _similarities(without_padding(teacher, pair.teacher).detach()),
                )
                for pair in self.tap_pairs
            ]
        return {"sp": sum_terms(distances)}


def _similarities(features: Tensor) -> Tensor:
    """Return G (B, B) of features (B, ...), each row of length 1."""
    rows = features.flatten(1)
    return F.normalize(rows @ rows.T)
