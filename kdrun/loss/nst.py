"""What each channel answers to: the student's channel maps distributed like the teacher's."""

import torch.nn.functional as F
from torch import Tensor

from kdrun.core.types import Batch, Output, Progress
from kdrun.loss.adapters import aligned
from kdrun.loss.base import no_autocast
from kdrun.loss.feature_loss import Paired


class Selectivity(Paired):
    """Huang and Wang 2017 (arXiv:1707.01219), section 4: NST with the polynomial kernel.

    Sum over pairs of the batch mean of MMD^2 = mean_ij k(t_i, t_j) + mean_ij k(s_i, s_j)
    - 2 mean_ij k(s_i, t_j), where s_i, t_i are the maps of a channel as unit vectors (H W) and
    k(x, y) = (x'y)^2. Maps of two sizes meet at the smaller one; channels may differ.
    """

    compares_pixels = True

    def terms(
        self, student: Output, teacher: Output, batch: Batch, progress: Progress
    ) -> dict[str, Tensor]:
        with no_autocast(student.logits):
            distances = [
                _discrepancy(*aligned(student.taps[pair.student], teacher.taps[pair.teacher]))
                for pair in self.joined
            ]
        return {"nst": sum(distances[1:], distances[0])}


def _discrepancy(student: Tensor, teacher: Tensor) -> Tensor:
    """MMD^2 of maps (B, C, H, W), a mean over the batch, by the smaller of two products."""
    own, other = (F.normalize(maps.flatten(2), dim=2) for maps in (student, teacher))
    if own.shape[2] <= max(own.shape[1], other.shape[1]):
        # sum_ij (s_i't_j)^2 = <S'S, T'T>, so that the three means are one square.
        apart = own.mT @ own / own.shape[1] - other.mT @ other / other.shape[1]
        return apart.square().sum(dim=(1, 2)).mean()
    return _kernel(other, other) + _kernel(own, own) - 2 * _kernel(own, other)


def _kernel(first: Tensor, second: Tensor) -> Tensor:
    """The mean of (x'y)^2 over the rows of (B, C1, D) and (B, C2, D)."""
    return (first @ second.mT).square().mean()
