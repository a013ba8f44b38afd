"""Neuron selectivity transfer."""

import torch.nn.functional as F
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.feature_loss import FeatureLoss
from kdrun.loss.functional import no_autocast, sum_terms


class NST(FeatureLoss):
    """Neuron selectivity: the distribution of channel maps.

    Formula:
        nst = mean_ij k(t_i, t_j) + mean_ij k(s_i, s_j) - 2 mean_ij k(s_i, t_j)
        averaged over the batch, summed over the pairs of taps
        k(x, y) = (x'y)^2; s_i, t_i: the map of channel i of student and teacher as a unit vector

    Paper:
        Huang and Wang, Like What You Like: Knowledge Distill via Neuron Selectivity Transfer, 2017,
        arXiv:1707.01219, section 4

    Needs:
        - feature maps of both (any networks)

    Notes:
        - It compares at which pixels channels respond, not which channels respond; student and
          teacher may have different numbers of channels. Maps of two sizes are averaged to the
          smaller one.
        - This is the paper's polynomial kernel. Maps of one pixel always have k = 1, so they teach
          nothing.
    """

    compares_pixels = True

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):
            distances = [_discrepancy(*maps) for maps in self.aligned(student, teacher)]
        return {"nst": sum_terms(distances)}


def _discrepancy(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the term of maps (B, C, H, W), the squared maximum mean discrepancy."""
    s, t = (F.normalize(maps.flatten(2), dim=2) for maps in (student, teacher))
    if s.shape[2] <= max(s.shape[1], t.shape[1]):
        # sum_ij (s_i't_j)^2 = <S'S, T'T>, so the three means are one square of smaller matrices.
        difference = s.mT @ s / s.shape[1] - t.mT @ t / t.shape[1]
        return difference.square().sum(dim=(1, 2)).mean()
    return _mean_kernel(t, t) + _mean_kernel(s, s) - 2 * _mean_kernel(s, t)


def _mean_kernel(first: Tensor, second: Tensor) -> Tensor:
    """Return the mean of (x'y)^2 over the rows x of (B, C1, D) and y of (B, C2, D)."""
    return (first @ second.mT).square().mean()
